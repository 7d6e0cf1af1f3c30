"""Images built as a Dockerfile says, by our own engine: every RUN is a formula, so it is run once.

The words
    instruction   one line of a Dockerfile: its word, and what follows, its variables filled in
    stage         the instructions from one FROM to the next; a later one may begin with it, or copy from it
    context       the files that COPY may name: a tree put together of sources, without what .dockerignore says
    agent         the ssh agent of whoever builds; a RUN that may ask it does so at a socket of ours
    state         what a stage is after an instruction: the ware of its tree, and what its image will say

Source of the format: the published Dockerfile reference.
"""
