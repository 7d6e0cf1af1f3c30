"""Files: documents of every dialect -> PolytopeFile, and what a reference means in one of them."""
