"""What is clear and is not shown all the same."""


class NotShown(ValueError):  # noqa: N818 - a finding
    """A fact that was read, but has no form in the metadata.

    The message is the cause, for the person who sent it: it completes "cannot be shown: ..." and holds no
    byte of the certificate. Whatever else is a ValueError "could not be read".
    """
