"""What modules do that no other module describes: primitives, and what code may ask of the job."""
