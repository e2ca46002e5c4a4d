//! Pure: fills `{fd:NAME}`, `{socket:NAME}`, `{instance}`, `{config}` and
//! `{control_socket}` in the command, arguments and environment of a service. Other text in braces is
//! left alone: it may be JSON or a format of the program's own.

use santa_config::Address;

/// What one instance of a service is told.
pub struct Values<'a> {
    /// Path of the configuration file.
    pub config: &'a str,
    /// Path of the control socket.
    pub control_socket: &'a str,
    /// Number of the instance, from 0.
    pub instance: u32,
    /// Names of the sockets handed over, from descriptor 3 on.
    pub handed: &'a [String],
    /// The address of a socket by its name.
    pub address: &'a dyn Fn(&str) -> Option<Address>,
}

/// Replaces all placeholders in `text`. The configuration rejects those that
/// name an unknown socket.
#[must_use]
pub fn fill(text: &str, values: &Values<'_>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        rest = &rest[open..];
        let name = rest.find('}').map_or("", |close| &rest[1..close]);
        match value(name, values) {
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
    filled
}

/// The value of a placeholder; nothing when it is none of ours.
fn value(name: &str, values: &Values<'_>) -> Option<String> {
    match name.split_once(':') {
        None if name == "instance" => Some(values.instance.to_string()),
        None if name == "config" => Some(values.config.to_owned()),
        None if name == "control_socket" => Some(values.control_socket.to_owned()),
        Some(("fd", socket)) => {
            let index = values.handed.iter().position(|handed| handed == socket)?;
            Some((index + 3).to_string())
        }
        Some(("socket", socket)) => Some(match (values.address)(socket)? {
            Address::Unix(path) => path.display().to_string(),
            Address::Tcp(address) => address.to_string(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let handed = ["http".to_owned(), "backend".to_owned()];
        let address = |name: &str| match name {
            "http" => Some(Address::Tcp("127.0.0.1:80".parse().expect("valid"))),
            "backend" => Some(Address::Unix("/tmp/b.sock".into())),
            _ => None,
        };
        let values = Values {
            config: "/etc/santa.toml",
            control_socket: "/tmp/control.sock",
            instance: 2,
            handed: &handed,
            address: &address,
        };
        assert_eq!(fill(text, &values), expected);
    }

    #[test]
    fn placeholders_are_filled_and_foreign_braces_left_alone() {
        check("--fd={fd:backend}", "--fd=4");
        check("{fd:http}{socket:http}", "3127.0.0.1:80");
        check("{socket:backend} {instance} {config}", "/tmp/b.sock 2 /etc/santa.toml");
        check("ask={control_socket}", "ask=/tmp/control.sock");
        check(r#"{"a": {"b": 1}} {x} {"#, r#"{"a": {"b": 1}} {x} {"#);
        check("", "");
    }
}
