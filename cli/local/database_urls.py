"""Database URLs of the login roles, derived from the administrator's."""

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from cli.local.errors import LocalError

SCHEMES = ("postgresql", "postgres")
QUEUE_ROLE = "coffer_queue"
QUEUE_OPTIONS = "-c search_path=procrastinate"


def role_url(admin_url: str, role: str, password: str) -> str:
    """The same database as `admin_url`, as `role`; the queue's role finds its own schema first.

    Raises LocalError for anything but a URL. The message does not repeat it: it holds a password.
    """
    parts = urlsplit(admin_url)
    if parts.scheme not in SCHEMES:
        raise LocalError("COFFER_DATABASE_URL must be a URL that begins with postgresql://")
    _, _, host = parts.netloc.rpartition("@")
    login = f"{quote(role, safe='')}:{quote(password, safe='')}"
    query = [(key, value) for key, value in parse_qsl(parts.query) if key not in _LOGIN_KEYS]
    if role == QUEUE_ROLE:
        given = " ".join(value for key, value in query if key == "options")
        query = [(key, value) for key, value in query if key != "options"]
        query.append(("options", f"{given} {QUEUE_OPTIONS}".strip()))
    # libpq knows %20 but not "+" for a blank.
    encoded = urlencode(query, quote_via=quote, safe="/")
    return urlunsplit((parts.scheme, f"{login}@{host}", parts.path, encoded, ""))


_LOGIN_KEYS = frozenset({"user", "password", "passfile"})
