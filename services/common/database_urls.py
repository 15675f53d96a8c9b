"""Reading the URL of a database from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from services.common.database import InsecureDatabaseUrlError, require_secure

if TYPE_CHECKING:
    from services.common.settings import Reader


def database_url(reader: Reader, name: str) -> str:
    """The secret `name`, held to what `require_secure` asks. Nothing of it is in a fault.

    Not promised: that a server answers there.
    """
    url = reader.secret(name)
    if not url:
        return url  # told as missing or empty
    try:
        require_secure(url)
    except InsecureDatabaseUrlError:
        reader.fault(
            name,
            "needs sslmode=verify-full: its host is neither this machine nor a socket",
        )
    except (ValueError, psycopg.Error):
        reader.fault(name, "must be a postgresql:// URL")
    return url
