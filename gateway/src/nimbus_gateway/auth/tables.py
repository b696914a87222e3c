"""Tables of accounts and credentials. Secrets are only ever stored hashed."""

import uuid
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from nimbus_gateway.database import JSON_COLUMN, ROW_ID, Table, UtcDateTime, new_id, now


class User(Table, table=True):
    """A person. `username_key` is the name as it is compared: case and Unicode form do not count."""

    __tablename__ = "users"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    username: str = Field(max_length=64)
    username_key: str = Field(max_length=128, unique=True)
    password_hash: str = Field(max_length=255)
    role: str = Field(max_length=16)
    disabled: bool = Field(default=False)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    updated_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class UserSession(Table, table=True):
    """A signed-in browser: SHA-256 of its token, and until when it lives."""

    __tablename__ = "sessions"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    token_hash: str = Field(max_length=64, unique=True)
    user_id: uuid.UUID = Field(foreign_key="users.id", ondelete="CASCADE", index=True)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    last_seen_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    address: str = Field(default="", max_length=64)
    user_agent: str = Field(default="", max_length=256)


class ApiKey(Table, table=True):
    """A key for programs. It works while its owner's account does."""

    __tablename__ = "api_keys"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    name: str = Field(max_length=120)
    key_hash: str = Field(max_length=64, unique=True)
    prefix: str = Field(max_length=16)
    scopes: list[str] = Field(default_factory=list, sa_type=JSON_COLUMN)
    owner_id: uuid.UUID = Field(foreign_key="users.id", ondelete="CASCADE", index=True)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class LoginAttempt(Table, table=True):
    """A try to sign in that has not succeeded: counted per account and per address."""

    __tablename__ = "login_attempts"
    __table_args__ = (sa.Index("ix_login_attempts_subject_at", "subject", "at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=ROW_ID)
    subject: str = Field(max_length=80)
    attempt: uuid.UUID = Field(index=True)
    at: datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)


class CredentialChange(Table, table=True):
    """A credential that changed: every worker follows this log and forgets what it cached of it."""

    __tablename__ = "credential_changes"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True, sa_type=ROW_ID)
    kind: str = Field(max_length=16)
    subject: uuid.UUID
    at: datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)
