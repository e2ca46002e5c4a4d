//! The PROXY protocol, version 2: the header before a connection by which a load balancer
//! names the client's address. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Length of the fixed part.
pub(crate) const FIXED: usize = 16;
/// The longest part after it that is read: addresses and some options.
const MAX_REST: usize = 1024;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The fixed part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Bytes that follow.
    pub(crate) rest: usize,
    family: Family,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// The balancer itself, or something that is not TCP.
    Unknown,
    V4,
    V6,
}

/// Not a header of this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Header {
    /// Reads the fixed part.
    pub(crate) fn parse(fixed: &[u8; FIXED]) -> Result<Self, Malformed> {
        let (signature, head) = fixed.split_at(SIGNATURE.len());
        let &[command, family, high, low] = head else { return Err(Malformed) };
        let rest = usize::from(u16::from_be_bytes([high, low]));
        if signature != SIGNATURE || rest > MAX_REST {
            return Err(Malformed);
        }
        let (family, least) = match (command, family) {
            (0x20, _) => (Family::Unknown, 0),
            (0x21, 0x11) => (Family::V4, 12),
            (0x21, 0x21) => (Family::V6, 36),
            (0x21, _) => (Family::Unknown, 0),
            _ => return Err(Malformed),
        };
        if rest < least {
            return Err(Malformed);
        }
        Ok(Self { rest, family })
    }

    /// The client's address in `rest`; nothing when the connection is the balancer's own.
    pub(crate) fn source(self, rest: &[u8]) -> Option<IpAddr> {
        match self.family {
            Family::Unknown => None,
            Family::V4 => {
                let octets: [u8; 4] = rest.first_chunk().copied()?;
                Some(Ipv4Addr::from(octets).into())
            }
            Family::V6 => {
                let octets: [u8; 16] = rest.first_chunk().copied()?;
                Some(IpAddr::from(Ipv6Addr::from(octets)).to_canonical())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Result<Option<IpAddr>, Malformed> {
        let mut fixed = [0; FIXED];
        fixed[..12].copy_from_slice(SIGNATURE);
        fixed[12..14].copy_from_slice(&[command, family]);
        let length = u16::try_from(rest.len()).expect("short");
        fixed[14..].copy_from_slice(&length.to_be_bytes());
        let header = Header::parse(&fixed)?;
        assert_eq!(header.rest, rest.len());
        Ok(header.source(rest))
    }

    #[test]
    fn the_client_is_the_source_address() {
        let mut four = [0; 12];
        four[..4].copy_from_slice(&[192, 0, 2, 7]);
        assert_eq!(header(0x21, 0x11, &four), Ok(Some([192, 0, 2, 7].into())));
        let mut six = [0; 50];
        six[..2].copy_from_slice(&[0x20, 0x01]);
        assert_eq!(header(0x21, 0x21, &six), Ok("2001::".parse().ok()));
    }

    #[test]
    fn a_connection_of_the_balancer_itself_names_no_client() {
        assert_eq!(header(0x20, 0, &[]), Ok(None));
        assert_eq!(header(0x21, 0, &[]), Ok(None));
        assert_eq!(header(0x21, 0x31, &[0; 216]), Ok(None));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(header(0x21, 0x11, &[0; 11]), Err(Malformed), "too short");
        assert_eq!(header(0x21, 0x21, &[0; 35]), Err(Malformed), "too short");
        assert_eq!(header(0x11, 0x11, &[0; 12]), Err(Malformed), "version 1");
        assert_eq!(header(0x22, 0x11, &[0; 12]), Err(Malformed), "no such command");
        assert_eq!(header(0x20, 0, &[0; MAX_REST + 1]), Err(Malformed), "too long");
        assert_eq!(Header::parse(b"GET / HTTP/1.1\r\n"), Err(Malformed));
    }
}
