"""Other places that hold packed wares: an address becomes a stream, and a stream can be pushed to an address.

The words: a **mirror** is a place outside of the workspace; its address is a URL of one packed ware, or, with
``ca+`` in front, of a place that keeps many by their hash (``abc/def/<hash>``). What a mirror gives is never
believed: whoever reads it checks the hash. An **upstream** is another kind of place: it holds no packed wares, but
what the wares of one packtype are made of, such as a git repository with its commits, and **brings** that into a
directory, where the packtype reads it, or a **repository** of a **registry**, which gives images part by part; a
**reference** names one of those. A **policy** bounds the patience with mirrors; **access** is all that
is needed besides an address: the policy, proxies, and how to push. A **hop** is one redirect.
"""
