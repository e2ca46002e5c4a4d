"""Runs Macs, administrators and a clock against one application, then compares it with the plain model.

All that happens is decided by the seed, when it begins; in which order PostgreSQL gets to see what
happens at the same time is not. Next: checks.py says what is wrong, and with what a Mac.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from santaserver.backup.settle import move_sequences, settle
from santaserver.clock import Clock as AnyClock
from santaserver.policy import schedule
from santaserver.unit_of_work import UnitOfWork
from tests.model.admin import IMPORTED, JUMP, TARGETS, Administrators
from tests.model.badge import Badge
from tests.model.changes import change_settings, import_rules, switch_monitor_mode
from tests.model.checks import (
    check_log,
    check_stored,
    claimed,
    clean_reasons,
    compare,
    compare_settings,
    server_side,
)
from tests.model.happenings import HOSTS, USERS, VERSIONS, happen
from tests.model.mac import REMEMBERED, Mac
from tests.model.memory import Memory
from tests.model.policy import Facts, Policy
from tests.model.reports import Reports
from tests.model.speech import some_speech
from tests.model.stacks import Stack
from tests.model.strangers import intrude
from tests.model.timeline import Timeline
from tests.model.whole import CLIENTS, SPEECHES, WholeMachine
from tests.model.witness import Witness
from tests.model.wrong import WrongError

OTHERS_AT = 6
"""Which of eight Macs is none: its client is of another make."""
ROUNDS = (10, 30)
"""Fewest and most rounds with faults before all of them end."""
QUIET_SYNCS = 2
"""Syncs without a fault after which a Mac has to be right."""
TROUBLE = (0.0, 0.1, 0.1, 0.3)
"""Shares of a sync's posts that something happens to."""
EAGER = 0.2
"""Share of Macs that sync again and again while administrators write."""
MOST_SYNCS = 12
FACTOR = 8
"""By how much longer than wanted a world goes on at most, until it was `enough`."""
MINUTES = (10, 60, 180, 1500)
"""By how many time may move."""
BETWEEN, DUE_BETWEEN = "time between pages", "rules that begin or end between pages"
EARLIER = "policies of earlier moments"
RESTORED = "happening: the database was restored"
RESTORES = 0.02
"""Share of rounds before which the server forgets what Macs confirmed, as if this moment was restored."""
LAST_PAGE = 40
"""After how many pages of the Macs that sync at the same time time may move at the latest."""


@dataclass
class Clock:
    """Time that moves when the world says so; no two moments are the same."""

    now: datetime = datetime(2026, 11, 25, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the moment."""
        self.now += timedelta(microseconds=1)
        return self.now


def direct(dsn: str) -> Callable[[AnyClock], Stack]:
    """Return the plainest stack over a database."""
    return lambda clock: Stack(dsn, clock)


class World:
    """One application with an empty fleet and its model."""

    def __init__(
        self,
        make_stack: Callable[[AnyClock], Stack],
        seed: int,
        macs: int = 24,
        restores: float = RESTORES,
    ) -> None:
        """Prepare everything that `seed` decides; the database is restored before that share of rounds."""
        self.chance = Random(seed)
        self._restore_chance = Random(f"restores {seed}")
        self._restores = restores
        self.clock = Clock()
        self.stack = make_stack(self.clock)
        self.database = self.stack.state.database
        self.policy = Policy()
        self.timeline = Timeline(self.policy, lambda: self.clock.now)
        self.admins = Administrators(self.stack.wire, self.clock, self.policy, self.timeline)
        self.memory = Memory(self.admins, Random(seed))
        self.happened = Counter[str]()
        self._pages: int | None = None
        """After how many more pages time moves while Macs sync."""
        self._moved = False
        self._writing = 0
        """Administrators who are changing the policy."""
        self.macs = [self._mac(number) for number in range(macs)]
        # Two Macs that were given the same id by mistake.
        self.macs[1].facts.machine_id = self.macs[0].facts.machine_id
        self.macs[1].badge = self.macs[1].witness.badge = self.macs[0].badge
        self.macs[0].shared = self.macs[1].shared = True
        self.settled = self.quiet_syncs = self.claims = 0
        self.reasons = Counter[str]()

    def _mac(self, number: int) -> Mac:
        others = number % 8 == OTHERS_AT
        version = CLIENTS[number // 8 % 2] if others else VERSIONS[number % 3]
        facts = Facts(f"M-{number}", version, self.chance.choice(USERS), [], self.chance.choice(HOSTS))
        chance = self._decider()
        reports = Reports(first_pid=number * 10_000_000)
        badge = Badge((0, 1, 2, None)[number % 4])
        make, speech = (WholeMachine, chance.choice(SPEECHES)) if others else (Mac, some_speech(chance))
        secrets = self.admins.secrets
        journal = deque[tuple[int, str, str, str]](maxlen=REMEMBERED)
        witness = Witness(self.timeline, facts, badge, journal)
        serial = f"SERIAL{number}"
        mac = make(self.stack.wire, facts, serial, chance, speech, reports, badge, secrets, journal, witness)
        mac.between = self._before_a_page
        return mac

    def _decider(self) -> Random:
        """Return chance of its own for something that goes on beside other things."""
        return Random(self.chance.random())

    @property
    def syncs(self) -> int:
        """Return how many machine-syncs have been begun."""
        return sum(mac.syncs for mac in self.macs)

    @property
    def kinds(self) -> Counter[str]:
        """Return how often Macs did what."""
        return sum((mac.kinds for mac in self.macs), Counter())

    @property
    def compared(self) -> Counter[str]:
        """Return how often what was compared with the model, beside whole rule tables."""
        witnesses = sum((mac.witness.seen for mac in self.macs), Counter())
        return witnesses + Counter({EARLIER: self.memory.compared})

    @property
    def faults(self) -> Counter[str]:
        """Return how often what went wrong."""
        return sum((mac.faults for mac in self.macs), Counter(self.happened))

    @property
    def posts(self) -> Counter[str]:
        """Return how often Macs posted in which form, and what beside syncs."""
        return sum((mac.posts for mac in self.macs), Counter())

    async def run(self, syncs: int, enough: Callable[[], bool] = lambda: True) -> None:
        """Go on until so many machine-syncs were made; raise `WrongError` as soon as something is wrong."""
        async with self.stack.serving():
            try:
                await self.begin()
                while self.syncs < syncs or not (enough() or self.syncs > FACTOR * syncs):
                    for _ in range(self.chance.randint(*ROUNDS)):
                        await self._restore()
                        await self._round()
                    await self._settle()
                await self._check_events()
                await check_log(self.database)
                self.reasons = await clean_reasons(self.database)
            except WrongError as error:
                error.add_note(await server_side(self.database, error.machine_id))
                raise

    async def begin(self) -> None:
        """Log in, make the tags and the enrollments, let every Mac sync once."""
        await self.admins.begin()
        for mac in self.macs:
            if self.chance.random() < 0.3:
                await mac.report_events(self.clock.now)
            await mac.sync()

    # --- what happens ----------------------------------------------------------------------------

    async def _round(self) -> None:
        """Let some Macs sync while administrators write; check the server's claims when all is quiet."""
        if self.chance.random() < 0.15:
            self._pass_time(timedelta(minutes=self.chance.choice(MINUTES)))
            if self.chance.random() < 0.5:
                await self._together([self._sync(mac) for mac in self._some_macs()])
            await self._schedule()
            self.policy.forget_expired(self.clock.now)
        for mac in self._some_macs():
            if self.chance.random() < 0.05:
                happen(mac, self.chance, own_id=mac in self.macs[2:], alone=mac in self.macs[-3:])
        jobs = self._fleet_jobs()
        if self.chance.random() < 0.01:
            jobs.append(self.admins.remove_all_rules())
        else:
            jobs += map(self._write, self._policy_jobs())
            if self.chance.random() < 0.3:
                self._pages = self.chance.randrange(LAST_PAGE)
        if self.chance.random() < 0.1:
            jobs.append(self.admins.change_structure(self.macs, self._members(), self._decider()))
        if self.chance.random() < 0.2:
            # One of those whose id is theirs alone: an order is for an id.
            mac = self.chance.choice(self._members())
            jobs.append(self.admins.order_clean_sync(mac, self._decider()))
        jobs += [self._sync(mac) for mac in self._some_macs()]
        jobs += [mac.report_events(self.clock.now) for mac in self.chance.sample(self.macs, 2)]
        if self.chance.random() < 0.1:
            jobs.append(self.chance.choice(self.macs).probe())
        self.chance.shuffle(jobs)
        await self._together(jobs)
        for mac in self.macs:
            mac.badge.changed()
        if self._moved:
            await self._schedule()
            self.policy.forget_expired(self.clock.now)
        self._moved, self._pages = False, None
        self.timeline.forget()
        await self._check_claims()

    def _policy_jobs(self) -> list[Coroutine[Any, Any, None]]:
        """Change rules, one by one and several at once, and settings."""
        own = [*map("user:{}".format, ("ann", "bob")), *(f"machine:M-{number}" for number in range(2, 5))]
        layers = ["global", *(f"tag:{tag.name}" for tag in self.policy.tags), *own]
        places = [(layer, key) for layer in layers if layer != f"tag:{IMPORTED}" for key in TARGETS]
        changed = self.chance.sample(places, self.chance.choice((0, 0, 1, 3)))
        jobs = [self.admins.change_rule(*place, self._decider()) for place in changed]
        if self.chance.random() < 0.35:
            jobs.append(import_rules(self.admins, self._decider()))
        if self.chance.random() < 0.2:
            jobs.append(change_settings(self.admins, self.chance.choice(layers), self._decider()))
        if self.chance.random() < 0.1:
            mac = self.chance.choice(self._staying())
            jobs.append(switch_monitor_mode(self.admins, mac, self._decider()))
        return jobs

    def _staying(self) -> list[Mac]:
        """Return the Macs that are never taken out of the fleet: those with layers and modes of their own."""
        return [*self.macs[2:5], *self.macs[-3:]]

    def _fleet_jobs(self) -> list[Coroutine[Any, Any, None]]:
        """Take Macs out of the fleet or back into it, release them; and strangers try what they can."""
        jobs = []
        for mac in self.chance.sample(self.macs[2:], 3):
            if self.chance.random() < 0.2 and not mac.badge.unsure:
                jobs += self._change_standing(mac)
            elif mac.badge.strangers:
                jobs.append(intrude(mac, self._decider(), self.clock.now))
        return jobs

    def _change_standing(self, mac: Mac) -> list[Coroutine[Any, Any, None]]:
        """Do what makes a Mac that is refused a member again, or take a member out of the fleet."""
        what = mac.badge.remedy
        if not what and mac in self.macs[5:-3]:  # those with layers and modes of their own stay
            what = self.chance.choice(("retire", "retire", "delete"))
        if what == "delete":
            self.memory.forget(mac.facts.machine_id)
        return [self.admins.change_standing(mac, what)] if what else []

    def _members(self) -> list[Mac]:
        """Return the Macs that administrators can order something of."""
        return [mac for mac in self.macs[2:] if not mac.badge.retired and not mac.badge.unsure]

    async def _sync(self, mac: Mac) -> None:
        """Sync once; a few Macs go on while administrators write, so that every moment of that is seen."""
        least = mac.chance.randint(1, 2)
        most = MOST_SYNCS if mac.chance.random() < EAGER else least
        for number in range(most):
            if number >= least and not self._writing:
                break
            mac.trouble = mac.chance.choice(TROUBLE)
            await mac.sync()

    async def _write(self, job: Coroutine[Any, Any, None]) -> None:
        """Have an administrator change the policy."""
        self._writing += 1
        try:
            await job
        finally:
            self._writing -= 1

    def _some_macs(self) -> list[Mac]:
        return self.chance.sample(self.macs, self.chance.randint(1, len(self.macs)))

    async def _together(self, jobs: list[Coroutine[Any, Any, None]]) -> None:
        """Do everything at the same time, and go on when nothing of it is still under way."""
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
        await self.stack.wire.quiet()

    async def _before_a_page(self) -> None:
        """Let time pass while a Mac is about to ask for a page, and others are anywhere in their syncs."""
        if self._pages is None:
            return
        self._pages -= 1
        if self._pages >= 0:
            return
        self._moved, self._pages = True, None
        before = self.clock.now
        self._pass_time(JUMP)
        self.happened[BETWEEN] += 1
        self.happened[DUE_BETWEEN] += sum(
            rule.holds(before) is not rule.holds(self.clock.now)
            for rules in self.policy.layers.values()
            for rule in rules.values()
        )
        if self.clock.now.microsecond % 2:
            await self._schedule()

    async def _schedule(self) -> None:
        """Do what is due, as the task of every worker does; if not, the next preflight does it."""
        async with self.database.transaction(lambda _: None) as (connection, outbox):
            work = UnitOfWork(connection, outbox=outbox)
            await schedule.apply_due(work, self.clock.now)
            await work.finish()

    async def _restore(self) -> None:
        """Now and then do what a restore does at its end: every Mac has to have all of its rules replaced."""
        if self._restore_chance.random() >= self._restores:
            return
        now = self.clock()
        async with self.database.transaction(lambda _: None) as (connection, _):
            await move_sequences(connection, {}, now)
            await settle(connection, now, ("schema", "*"), {})
        for mac in self._members():
            mac.ordered = "CLEAN_ALL"
        self.happened[RESTORED] += 1

    def _pass_time(self, amount: timedelta) -> None:
        self.clock.now += amount
        self.admins.journal.append((self.clock.now, "time has passed", str(amount)))

    # --- what has to be true ---------------------------------------------------------------------

    async def _check_claims(self) -> None:
        """A Mac that the server reports as up to date is up to date."""
        up_to_date = await claimed(self.database, self.clock.now)
        for mac in self.macs[2:]:
            if mac.facts.machine_id in up_to_date and not mac.doubtful:
                self.claims += 1
                self._compare(mac, "is called up to date")
                compare_settings(self.policy, mac, "is called up to date", self.clock.now)
                self.memory.sees(mac, self.clock.now)

    async def _check_events(self) -> None:
        """Every execution that the server accepted is stored once."""
        for machine_id in sorted({mac.facts.machine_id for mac in self.macs}):
            same = [mac.reports.accepted for mac in self.macs if mac.facts.machine_id == machine_id]
            await check_stored(self.database, machine_id, set().union(*same))

    async def _settle(self) -> None:
        """End the faults and let time pass; every Mac has to get the right rules."""
        self._pass_time(timedelta(hours=25))
        self.policy.forget_expired(self.clock.now)
        for mac in self.macs:
            mac.trouble, mac.late = 0.0, []
        # A Mac with another profile may have been retired as well.
        for _ in range(2):
            wrong = [mac for mac in self.macs if mac.badge.remedy]
            await self._together([self.admins.change_standing(mac, mac.badge.remedy) for mac in wrong])
            for mac in wrong:
                mac.badge.changed()
        # The two Macs with one id are right one after the other.
        for group in (self.macs[:1], self.macs[1:2], self.macs[2:]):
            for _ in range(QUIET_SYNCS):
                await self._together([mac.sync() for mac in group])
                self.quiet_syncs += len(group)
            for mac in group:
                self._compare(mac, "has settled")
                if mac.ordered:
                    text = f"{mac.facts} has settled, but never did the {mac.ordered} sync that was ordered"
                    raise WrongError(mac.facts.machine_id, text)
        self.settled += len(self.macs)
        await self.memory.compare()

    def _compare(self, mac: Mac, when: str) -> None:
        compare(self.policy, mac, self.admins.journal, when, self.clock.now)
