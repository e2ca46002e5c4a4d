//! Pure: fills `{fd:NAME}`, `{socket:NAME}`, `{instance}` and `{config}` in the
//! command, arguments and environment of a service. Other text in braces is
//! left alone: it may be JSON or a format of the program's own.

use santa_config::Address;

/// What one instance of a service is told.
pub struct Values<'a> {
    /// Path of the configuration file.
    pub config: &'a str,
    /// Number of the instance, from 0.
    pub instance: u32,
    /// Names of the sockets handed over, from descriptor 3 on.
    pub handed: &'a [String],
    /// The address of a socket by its name.
    pub address: &'a dyn Fn(&str) -> Option<Address>,
}

/// Replaces all placeholders in `text`.
///
/// # Errors
/// A text for people when a placeholder names a socket that is not there.
pub fn fill(text: &str, values: &Values<'_>) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        rest = &rest[open..];
        let name = rest.find('}').map_or("", |close| &rest[1..close]);
        match value(name, values)? {
            Some(value) => {
                filled.push_str(&value);
                rest = &rest[name.len() + 2..];
            }
            None => {
                filled.push('{');
                rest = &rest[1..];
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The value of a placeholder; nothing when it is none of ours.
fn value(name: &str, values: &Values<'_>) -> Result<Option<String>, String> {
    if name == "instance" {
        return Ok(Some(values.instance.to_string()));
    }
    if name == "config" {
        return Ok(Some(values.config.to_owned()));
    }
    if let Some(socket) = name.strip_prefix("fd:") {
        let index = values.handed.iter().position(|handed| handed == socket).ok_or_else(|| {
            format!("{{fd:{socket}}} names a socket that is not handed over; add \"{socket}\" to sockets")
        })?;
        return Ok(Some((index + 3).to_string()));
    }
    if let Some(socket) = name.strip_prefix("socket:") {
        return match (values.address)(socket) {
            Some(Address::Unix(path)) => Ok(Some(path.display().to_string())),
            Some(Address::Tcp(address)) => Ok(Some(address.to_string())),
            None => Err(format!(
                "{{socket:{socket}}} names a socket that does not exist; add [socket.{socket}]"
            )),
        };
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let handed = ["http".to_owned(), "backend".to_owned()];
        let address = |name: &str| match name {
            "http" => Some(Address::Tcp("127.0.0.1:80".parse().expect("valid"))),
            "backend" => Some(Address::Unix("/tmp/b.sock".into())),
            _ => None,
        };
        let values =
            Values { config: "/etc/santa.toml", instance: 2, handed: &handed, address: &address };
        match (fill(text, &values), expected) {
            (Ok(filled), Ok(expected)) => assert_eq!(filled, expected),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (result, _) => panic!("{text}: {result:?}"),
        }
    }

    #[test]
    fn placeholders_are_filled_and_foreign_braces_left_alone() {
        check("--fd={fd:backend}", Ok("--fd=4"));
        check("{fd:http}{socket:http}", Ok("3127.0.0.1:80"));
        check("{socket:backend} {instance} {config}", Ok("/tmp/b.sock 2 /etc/santa.toml"));
        check(r#"{"a": {"b": 1}} {x} {"#, Ok(r#"{"a": {"b": 1}} {x} {"#));
        check("", Ok(""));
    }

    #[test]
    fn a_socket_that_is_not_there_is_refused_by_name() {
        check("{fd:admin}", Err("add \"admin\" to sockets"));
        check("{socket:admin}", Err("[socket.admin]"));
    }
}
