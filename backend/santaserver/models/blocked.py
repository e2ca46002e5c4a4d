"""The public page about blocked programs."""

from sqlalchemy.orm import Mapped, mapped_column

from santaserver.models.base import Base


class BlockedContact(Base):
    """Whom to ask about a blocked program; a single row."""

    __tablename__ = "blocked_contact"

    only_row: Mapped[bool] = mapped_column(primary_key=True)
    text: Mapped[str]
    url: Mapped[str]
