"""Where programs are seen: the names and paths beside the first ones, for searches.

A process remembers which it has stored, so that most uploads need no statement for this.
"""

from collections.abc import Mapping, Sequence

from santaserver.cache import CacheMemory, LruCache
from santaserver.db import Connection
from santaserver.events.parse import ExecutionRow
from santaserver.events.plausible import MAX_NAME, MAX_TEXT

PLACE_SIZE = 130
"""Bytes of a place that a process knows by its hash."""
MAX_PLACES = 64
"""Further places that are kept of a program: some paths are new at every start."""


class PlaceCache:
    """Hashes of (program, path, name) that are stored, or need not be."""

    def __init__(self, memory: CacheMemory) -> None:
        """Know none."""
        self.known: LruCache[int, bool] = LruCache(memory, "program_paths", lambda *_: PLACE_SIZE)

    def add(self, program: int, path: str, name: str) -> None:
        """Remember the place that a program is shown with: it needs no row beside the program's."""
        self.known.put(hash((program, path, name)), True)


async def store_places(
    connection: Connection, cache: PlaceCache, rows: Sequence[ExecutionRow], programs: Mapping[str, int]
) -> None:
    """Keep where these programs were seen, as far as that is new."""
    missing: dict[tuple[int, str, str], int] = {}
    for row in rows:
        place = (programs[row.sha256], row.event.file_path[:MAX_TEXT], row.event.file_name[:MAX_NAME])
        mark = hash(place)
        if cache.known.get(mark) is None:
            missing[place] = mark
    if not missing:
        return
    places = sorted(missing)
    await connection.execute(
        """insert into program_path (program_id, digest, file_path, file_name)
           select program, decode(md5(path || '/' || name), 'hex'), path, name
           from (select p.*, row_number() over (partition by program order by path, name) as place
                 from unnest($1::bigint[], $2::text[], $3::text[]) p(program, path, name)
                 join program x on x.id = p.program
                 where (x.file_path, x.file_name) <> (p.path, p.name)) found
           where place + (select count(*) from program_path e where e.program_id = program) <= $4
           order by 1, 2 on conflict do nothing""",
        [program for program, _, _ in places],
        [path for _, path, _ in places],
        [name for _, _, name in places],
        MAX_PLACES,
    )
    for mark in missing.values():
        cache.known.put(mark, True)
