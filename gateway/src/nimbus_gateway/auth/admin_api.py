"""What administrators do with accounts and API keys."""

import uuid

from fastapi import APIRouter
from nimbus_sdk.contracts.problem import FieldProblem

from nimbus_gateway.auth.api_keys import ApiKeys
from nimbus_gateway.auth.models import (
    AdminUser,
    ApiKey,
    ApiKeyCreate,
    ApiKeyPage,
    NewApiKey,
    UserCreate,
    UserPage,
    UserUpdate,
)
from nimbus_gateway.auth.users import Users
from nimbus_gateway.database import now, parse_id
from nimbus_gateway.errors import ConflictError, ValidationError
from nimbus_gateway.http.dependencies import (
    AdminDep,
    AuditDep,
    CursorDep,
    LimitDep,
    ReadSessionDep,
    SessionDep,
    StateDep,
)
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute

router = APIRouter(prefix="/api/admin", route_class=StrictRoute, tags=["accounts"], responses=responses(401, 403))


@router.get("/users")
async def users_list(
    _: AdminDep, state: StateDep, session: ReadSessionDep, cursor: CursorDep, limit: LimitDep = 50
) -> UserPage:
    """All people, oldest account first."""
    rows = await Users(session, state.accounts.changes).page(cursor, limit + 1)
    more = str(rows[limit - 1].id) if len(rows) > limit else None
    return UserPage(items=[AdminUser.of(row) for row in rows[:limit]], next=more)


@router.post("/users", status_code=201, responses=responses(409, 429))
async def users_create(body: UserCreate, admin: AdminDep, state: StateDep, audit: AuditDep) -> AdminUser:
    """Add a person."""
    password_hash = await state.accounts.passwords.hash(body.password)
    async with state.database.write() as session:
        user = await Users(session, state.accounts.changes).create(body.username, password_hash, body.role)
        audit.write(session, "user.create", admin, f"user:{user.id}", username=user.username, role=user.role)
    return AdminUser.of(user)


@router.patch("/users/{user_id}", responses=responses(404, 409, 429))
async def users_update(
    user_id: str, body: UserUpdate, admin: AdminDep, state: StateDep, audit: AuditDep
) -> AdminUser:
    """Change role, state or password. A disabled person is signed out everywhere within a second."""
    password_hash = await state.accounts.passwords.hash(body.password) if body.password is not None else None
    async with state.database.write() as session:
        users = Users(session, state.accounts.changes)
        user = await users.get(parse_id(user_id))
        if body.role is not None or body.disabled is not None:
            await users.change(user, role=body.role, disabled=body.disabled)
        if password_hash is not None:
            keep = admin.session_id if str(user.id) == admin.id else None
            await users.set_password(user, password_hash, keep_session=keep)
        changed = {key: value for key, value in body.model_dump(exclude={"password"}).items() if value is not None}
        audit.write(session, "user.update", admin, f"user:{user.id}", **changed, password=body.password is not None)
    return AdminUser.of(user)


@router.delete("/users/{user_id}", status_code=204, responses=responses(404, 409))
async def users_delete(user_id: str, admin: AdminDep, state: StateDep, session: SessionDep, audit: AuditDep) -> None:
    """Delete a person with their sessions and API keys."""
    users = Users(session, state.accounts.changes)
    user = await users.get(parse_id(user_id))
    if str(user.id) == admin.id:
        raise ConflictError("You cannot delete your own account.")
    await users.delete(user)
    audit.write(session, "user.delete", admin, f"user:{user.id}", username=user.username)


@router.get("/api-keys")
async def api_keys_list(
    _: AdminDep, state: StateDep, session: ReadSessionDep, cursor: CursorDep, limit: LimitDep = 50
) -> ApiKeyPage:
    """All API keys, newest first."""
    rows = await ApiKeys(session, state.accounts.changes).page(cursor, limit + 1)
    more = str(rows[limit - 1].id) if len(rows) > limit else None
    return ApiKeyPage(items=[ApiKey.of(row) for row in rows[:limit]], next=more)


@router.post("/api-keys", status_code=201)
async def api_keys_create(
    body: ApiKeyCreate, admin: AdminDep, state: StateDep, session: SessionDep, audit: AuditDep
) -> NewApiKey:
    """Make an API key. The answer is the only one that shows it."""
    if body.expires_at is not None and body.expires_at <= now():
        raise ValidationError(errors=[FieldProblem(path="/expiresAt", message="a moment in the future")])
    row, key = await ApiKeys(session, state.accounts.changes).create(
        name=body.name, scopes=body.scopes, expires_at=body.expires_at, owner_id=uuid.UUID(admin.id)
    )
    audit.write(session, "api-key.create", admin, f"api-key:{row.id}", name=row.name, scopes=row.scopes)
    return NewApiKey(**ApiKey.of(row).model_dump(), key=key)


@router.delete("/api-keys/{key_id}", status_code=204, responses=responses(404))
async def api_keys_revoke(
    key_id: str, admin: AdminDep, state: StateDep, session: SessionDep, audit: AuditDep
) -> None:
    """Revoke an API key; it stops working within a second."""
    row = await ApiKeys(session, state.accounts.changes).revoke(parse_id(key_id))
    audit.write(session, "api-key.revoke", admin, f"api-key:{row.id}", name=row.name)
