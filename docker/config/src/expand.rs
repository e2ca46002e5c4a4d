//! Filling in `${NAME}` from the environment and `{paths.x}` from the file
//! itself. What a service learns only when it is spawned (`{fd:…}`,
//! `{socket:…}`, `{instance}`, `{config}`) is left as it stands.

use crate::diagnostic::Diagnostics;
use crate::env::Env;
use crate::node::{Node, Value};

/// Replaces `${NAME}`, `${NAME:-default}` and `${NAME:?message}` in every
/// string; `$$` is a dollar sign. Text that comes out is not expanded again,
/// so a secret may hold any character.
pub(crate) fn environment(root: &mut Node, env: &Env, diagnostics: &mut Diagnostics) {
    root.each_text("", &mut |key, at, text| {
        if text.contains('$') {
            match expand(text, env) {
                Ok(expanded) => *text = expanded,
                Err(message) => diagnostics.add(at, key, message),
            }
        }
    });
}

/// The names of the variables that `text` refers to.
pub(crate) fn references(text: &str) -> Vec<String> {
    // "$$" is a dollar sign, whatever follows it.
    let text = text.replace("$$", "");
    let inside = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    inside.filter_map(|inside| inside.split(':').next()).map(str::to_owned).collect()
}

fn expand(text: &str, env: &Env) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let end = inside
                .find('}')
                .ok_or("\"${\" is never closed; write ${NAME}, or $$ for a dollar sign")?;
            out.push_str(&lookup(&inside[..end], env)?);
            rest = &inside[end + 1..];
        } else {
            return Err(
                "a lone \"$\"; write ${NAME} for a variable, or $$ for a dollar sign".to_owned()
            );
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn lookup(reference: &str, env: &Env) -> Result<String, String> {
    let (name, otherwise) = match reference.find(':') {
        Some(colon) => (&reference[..colon], Some(&reference[colon + 1..])),
        None => (reference, None),
    };
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(format!("\"{name}\" is not the name of a variable"));
    }
    let value = env.get(name).filter(|value| !value.is_empty());
    match (value, otherwise.map(|text| text.split_at_checked(1))) {
        (Some(value), _) => Ok(value.clone()),
        (None, Some(Some(("-", default)))) => Ok(default.to_owned()),
        (None, Some(Some(("?", message)))) => {
            Err(format!("environment variable {name} is not set: {message}"))
        }
        (None, None) => Err(format!(
            "environment variable {name} is not set; set it, or write ${{{name}:-default}}"
        )),
        (None, Some(_)) => {
            Err(format!("after {name}: only \":-default\" or \":?message\" may follow"))
        }
    }
}

/// Replaces `{paths.x}` by the value of that key of `[paths]`.
pub(crate) fn paths(root: &mut Node, diagnostics: &mut Diagnostics) {
    let known: Vec<(String, String)> = match root.get("paths").map(|node| &node.value) {
        Some(Value::Table(table)) => table
            .iter()
            .filter_map(|(name, node)| {
                Some((format!("{{paths.{name}}}"), node.as_text()?.to_owned()))
            })
            .collect(),
        _ => Vec::new(),
    };
    root.each_text("", &mut |key, at, text| {
        if !text.contains("{paths.") {
            return;
        }
        for (reference, value) in &known {
            *text = text.replace(reference, value);
        }
        if let Some(start) = text.find("{paths.") {
            let unknown = text[start..].split_inclusive('}').next().unwrap_or_default();
            diagnostics.add(at, key, format!("{unknown} names nothing in [paths]"));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> Env {
        [("A", "one"), ("EMPTY", ""), ("SECRET", "p$a${A}%s")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into()
    }

    #[test]
    fn variables_defaults_and_dollar_signs() {
        let cases = [
            ("x${A}y", "xoney"),
            ("${B:-two}", "two"),
            ("${EMPTY:-two}", "two"),
            ("${B:-}", ""),
            ("a$$b", "a$b"),
            ("${SECRET}", "p$a${A}%s"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &env()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_wrong_reference_says_what_to_write() {
        for (text, part) in [
            ("${B}", "B is not set"),
            ("${B:?needed for sign-in}", "needed for sign-in"),
            ("${A", "never closed"),
            ("$A", "lone"),
            ("${B:+x}", "only"),
            ("${a b}", "not the name"),
        ] {
            let message = expand(text, &env()).expect_err(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
