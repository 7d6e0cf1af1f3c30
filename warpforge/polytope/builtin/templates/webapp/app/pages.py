"""What is at which path."""

NAME = "{{ project-name }}"


def page(path):
    """Status and content."""
    if path == "/":
        return 200, f"<!doctype html><title>{NAME}</title><h1>Hello from {NAME}</h1>\n".encode()
    return 404, b"<!doctype html><title>Not found</title><h1>There is nothing here</h1>\n"
