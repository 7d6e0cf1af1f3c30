"""Pictures: graphs, and what all pages share. Pure: no wares, no files, no clock.

node     a box of a graph, with the boxes that it needs; its verdict gives it a colour
graph    nodes as a value, spelled for Mermaid and Graphviz, or drawn as SVG by a layout of our own
look     colours and type of a page, by day and by night
markup   text in HTML and SVG, where nothing that it says is a tag
"""
