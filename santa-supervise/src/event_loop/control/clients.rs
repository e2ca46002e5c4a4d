//! Pure: the connections to the control socket, what waits for each, and who has
//! to go when there is no room. All of them together may hold up a bounded
//! amount, because a follower that does not read must cost nobody anything.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::os::Token;

/// Most connections at a time.
pub(super) const CLIENTS: usize = 64;

/// What may wait for a client that reads slowly, before it is dropped.
const LONGEST_BACKLOG: usize = 4 * 1024 * 1024;

/// What may wait for all clients.
const LONGEST_BACKLOGS: usize = 8 * 1024 * 1024;

/// How long a request may take to arrive: from the connection on, or from its
/// first byte on.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// What a client wants to see as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Follow {
    /// Nothing.
    Nothing,
    /// Lines of one service or of all.
    Lines(Option<String>),
    /// Events of santa-supervise.
    Events,
}

/// Bytes that wait; followers share them.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pieces: VecDeque<Rc<[u8]>>,
    /// How much of the first piece is sent.
    sent: usize,
    bytes: usize,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    fn push(&mut self, piece: Rc<[u8]>) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    /// What is to be sent next.
    pub(super) fn next(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| &piece[self.sent..])
    }

    pub(super) fn took(&mut self, sent: usize) {
        self.sent += sent;
        self.bytes -= sent;
        if self.next().is_empty() {
            self.pieces.pop_front();
            self.sent = 0;
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) fd: OwnedFd,
    pub(super) input: Vec<u8>,
    pub(super) output: Backlog,
    pub(super) follow: Follow,
    /// Closed as soon as `output` is sent.
    pub(super) leaving: bool,
    /// Whether it has ever made a request.
    known: bool,
    /// Its last request, or its beginning.
    since: Instant,
    /// The first byte of a request that is not complete.
    begun: Option<Instant>,
}

impl Client {
    pub(super) fn new(fd: OwnedFd, now: Instant) -> Self {
        Self {
            fd,
            input: Vec::new(),
            output: Backlog::default(),
            follow: Follow::Nothing,
            leaving: false,
            known: false,
            since: now,
            begun: Some(now),
        }
    }

    /// Takes bytes of a request.
    pub(super) fn received(&mut self, bytes: &[u8], now: Instant) {
        self.input.extend_from_slice(bytes);
        self.begun.get_or_insert(now);
    }

    pub(super) fn has_request(&self) -> bool {
        memchr::memchr(b'\n', &self.input).is_some()
    }

    /// The next complete request.
    pub(super) fn request(&mut self, now: Instant) -> Option<Vec<u8>> {
        let end = memchr::memchr(b'\n', &self.input)?;
        let line = self.input.drain(..=end).collect();
        (self.known, self.since) = (true, now);
        self.begun = (!self.input.is_empty()).then_some(now);
        Some(line)
    }

    fn deadline(&self) -> Option<Instant> {
        self.begun.map(|begun| begun + REQUEST_TIME)
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Clients(BTreeMap<Token, Client>);

impl Clients {
    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut Client> {
        self.0.get_mut(&token)
    }

    pub(super) fn add(&mut self, token: Token, client: Client) {
        self.0.insert(token, client);
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<Client> {
        self.0.remove(&token)
    }

    pub(super) fn tokens(&self) -> Vec<Token> {
        self.0.keys().copied().collect()
    }

    pub(super) fn who(&self, wanted: impl Fn(&Follow) -> bool) -> Vec<Token> {
        let found = self.0.iter().filter(|(_, client)| wanted(&client.follow) && !client.leaving);
        found.map(|(token, _)| *token).collect()
    }

    /// Queues bytes; whether there was room for them.
    pub(super) fn push(&mut self, token: Token, piece: Rc<[u8]>) -> bool {
        let Some(client) = self.0.get_mut(&token) else { return false };
        let fits = client.output.bytes + piece.len() <= LONGEST_BACKLOG;
        if fits {
            client.output.push(piece);
        }
        fits
    }

    /// Who is the furthest behind, when all together are too far behind.
    pub(super) fn too_slow(&self) -> Option<Token> {
        let waiting: usize = self.0.values().map(|client| client.output.bytes).sum();
        let last = self.0.iter().max_by_key(|(_, client)| client.output.bytes);
        last.filter(|_| waiting > LONGEST_BACKLOGS).map(|(token, _)| *token)
    }

    /// Who makes room for a new client when there is none: those that have never
    /// asked anything, then those that are answered, then followers, the slowest
    /// first, and at last those that `waits` names; the oldest of each.
    pub(super) fn to_evict(&self, waits: impl Fn(Token) -> bool) -> Option<Token> {
        if self.0.len() < CLIENTS {
            return None;
        }
        let rank = |token: Token, client: &Client| match client.follow {
            _ if waits(token) => 3,
            Follow::Nothing => u8::from(client.known),
            Follow::Lines(_) | Follow::Events => 2,
        };
        let order = |(token, client): &(&Token, &Client)| {
            (rank(**token, client), std::cmp::Reverse(client.output.bytes), client.since)
        };
        self.0.iter().min_by_key(order).map(|(token, _)| *token)
    }

    /// Who has taken too long to ask something.
    pub(super) fn late(&self, now: Instant) -> Vec<Token> {
        let late = |client: &Client| client.deadline().is_some_and(|deadline| deadline <= now);
        self.0.iter().filter(|(_, client)| late(client)).map(|(token, _)| *token).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.0.values().filter_map(Client::deadline).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(now: Instant) -> Client {
        Client::new(std::fs::File::open("/dev/null").expect("descriptor").into(), now)
    }

    #[test]
    fn the_silent_make_room_first_and_those_who_wait_for_an_answer_last() {
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        let mut clients = Clients::default();
        for token in 0..CLIENTS as Token {
            let mut one = client(later(token));
            if token >= 2 {
                one.received(b"x\n", later(token));
                one.request(later(token)).expect("a request");
            }
            if token >= 4 {
                one.follow = Follow::Events;
            }
            if token == 63 {
                one.output.push(Rc::from(&b"unread"[..]));
            }
            clients.add(token, one);
        }
        let mut gone = Vec::new();
        for _ in 0..CLIENTS {
            let next = clients.to_evict(|token| token == 5).expect("no room");
            gone.push(next);
            clients.remove(next);
            // Someone new, who has asked and waits.
            let mut new = client(later(1_000));
            new.received(b"x\n", now);
            new.request(later(1_000 + next)).expect("a request");
            clients.add(1_000 + next, new);
            clients.get_mut(1_000 + next).expect("added").follow = Follow::Lines(None);
        }
        assert_eq!(gone[..6], [0, 1, 2, 3, 63, 4]);
        assert!(!gone.contains(&5), "it waits for an answer");
        clients.remove(5);
        assert_eq!(clients.to_evict(|_| false), None, "there is room");
    }

    #[test]
    fn all_backlogs_together_are_bounded_and_the_longest_goes() {
        let mut clients = Clients::default();
        for token in 0..40 {
            clients.add(token, client(Instant::now()));
        }
        let piece: Rc<[u8]> = vec![b'x'; 300 * 1024].into();
        for token in 0..40 {
            assert!(clients.push(token, Rc::clone(&piece)));
            assert!(token != 7 || clients.push(token, Rc::clone(&piece)));
            while let Some(slow) = clients.too_slow() {
                clients.remove(slow).expect("one of them");
            }
            let waiting: usize = clients.0.values().map(|client| client.output.bytes).sum();
            assert!(waiting <= LONGEST_BACKLOGS);
        }
        assert!(clients.get_mut(7).is_none(), "it had the most");
        assert!(clients.0.len() > 20, "the others stay");
        let token = clients.tokens()[0];
        assert!(!clients.push(token, vec![0; LONGEST_BACKLOG].into()));
    }

    #[test]
    fn a_request_has_its_time_and_silence_after_an_answer_has_not() {
        let now = Instant::now();
        let (soon, late) = (now + REQUEST_TIME / 2, now + REQUEST_TIME * 2);
        let mut clients = Clients::default();
        for token in 0..3 {
            clients.add(token, client(now));
        }
        let second = clients.get_mut(1).expect("added");
        second.received(b"{}\n{", soon);
        assert!(second.request(soon).is_some() && second.request(soon).is_none());
        let third = clients.get_mut(2).expect("added");
        third.received(b"{}\n", soon);
        assert!(third.request(soon).is_some());
        assert!(clients.late(soon).is_empty());
        assert_eq!(clients.late(now + REQUEST_TIME), [0]);
        assert_eq!(clients.late(late), [0, 1]);
    }
}
