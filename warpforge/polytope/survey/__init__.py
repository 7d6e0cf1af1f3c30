"""What can be told of files without running anything."""
