"""What grants hold. Pure."""

from collections.abc import Iterable


def granted(permission: str, grants: Iterable[str]) -> bool:
    """Whether grants such as `media:read` or `downloads:*` hold a permission."""
    area = permission.rpartition(":")[0]
    return any(grant in (permission, f"{area}:*") for grant in grants)
