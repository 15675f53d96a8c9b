"""Certificate files: gathered from what a person has, looked at here, and stored or refused."""
