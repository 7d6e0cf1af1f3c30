"""Wares: file trees, packed and named by their hash.

ware       a file tree named ``packtype:hash``
packtype   how a ware is hashed, and what its foreign archives look like: tar, zip, ztar, git, oci (packer: one per
           packtype)
fileset    the nodes of a tree in canonical order, whose hashes make the tree hash (fileset)
filters    what becomes of ids, times and modes on the way in or out, one row of defaults for each way (filters)
member     one node as an archive holds it; foreign archives have them in any order (members, collect)
extra      headers in front of a member, for what its own has no room for (extra)
shape      what the headers of many members have in common (shape)
sum        what packing or scanning a tree found: its WareId, its dual identity, counts and sizes (packer)
dual       the ``ztar`` hash of a tree whose own id does not cover all of it
commit     what a git ware is the tree of; a submodule in it is the tree of another one (git, git_objects)
image      what an oci ware is the tree of: a manifest, a config and layers, by their digests (image, image_writer)
source     where an image's parts come from; whatever it gives is compared with its digest (image, layout, saved)
layer      one change to a tree; laid over one another they are an image's tree (layers, overlay)
whiteout   a name in a layer that takes something of the layers below away
frame      a stretch of the packed bytes that can be read alone; the seek table lists them (frames, table, decode)
stretch    the members in one frame, hashed and written without the rest of the archive (stretch, run); several takers
           do an archive of ours abreast, partners in processes of their own among them (abreast, board, partner, taker)
spelling   how we write the header of a member, which a taker knows at a glance (headers, spelling)
ground     the tree on disk that takers write to (ground)
lazy       one file, or the names, of a packed ware without decoding the rest (lazy)
change     what differs at one path of two trees (diff)
manifest   a tree told line by line, for people (manifest)
"""
