//! One place for each key: the `section!` macro turns a struct with doc
//! comments and defaults into the struct itself, its strict reading and its
//! page in docs/configuration.md.

/// Declares a table of the configuration file.
///
/// `field: Type = default` is optional in the file; without a default it must
/// be given, unless its type says otherwise (`Option`, lists, other sections).
/// `field as "key": Type` is written under another name in the file.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field:ident $(as $key:literal)? : $type:ty $(= $default:tt)?,
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name {
            $( $(#[doc = $doc])* $vis $field: $type, )*
        }

        impl $crate::read::Setting for $name {
            const EXPECTED: &'static str = "a table";

            fn read(
                node: &$crate::node::Node,
                key: &str,
                diagnostics: &mut $crate::diagnostic::Diagnostics,
            ) -> Option<Self> {
                let known = [$( section!(@key $field $($key)?) ),*];
                let table = $crate::read::Table::open(node, key, &known, diagnostics)?;
                // Every field is read before any is used: all diagnostics at once.
                $(
                    let $field = table.field::<$type>(
                        section!(@key $field $($key)?),
                        section!(@default $($default)?),
                        diagnostics,
                    );
                )*
                Some(Self { $( $field: $field?, )* })
            }

            fn default_value(key: &str, diagnostics: &mut $crate::diagnostic::Diagnostics) -> Option<Self> {
                Self::read(&$crate::node::Node::empty_table(), key, diagnostics)
            }

            fn reference(key: &str, out: &mut Vec<$crate::reference::Table>) -> bool {
                let at = out.len();
                out.push($crate::reference::Table::new(key, concat!($($about, "\n"),*)));
                $(
                    let name = section!(@key $field $($key)?);
                    if !<$type as $crate::read::Setting>::reference(&$crate::node::join(key, name), out) {
                        out[at].keys.push($crate::reference::Key {
                            name,
                            expected: <$type as $crate::read::Setting>::EXPECTED,
                            default: section!(@default $($default)?),
                            about: concat!($($doc, "\n"),*),
                        });
                    }
                )*
                true
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@default) => { None };
    (@default $default:tt) => { Some(stringify!($default)) };
}

/// Declares an enum of strings, as in `kind = "daemon"`.
macro_rules! string_enum {
    (
        $(#[doc = $about:literal])*
        $vis:vis enum $name:ident { $( $(#[doc = $doc:literal])* $variant:ident = $word:literal, )* }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name { $( $(#[doc = $doc])* $variant, )* }

        impl $name {
            /// The word as written in the file.
            #[must_use]
            $vis fn word(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }
        }

        impl $crate::read::Setting for $name {
            const EXPECTED: &'static str = $crate::section::string_enum!(@list $($word)*);

            fn read(
                node: &$crate::node::Node,
                key: &str,
                diagnostics: &mut $crate::diagnostic::Diagnostics,
            ) -> Option<Self> {
                match node.as_text() {
                    $( Some($word) => Some(Self::$variant), )*
                    _ => $crate::read::type_error(node, key, Self::EXPECTED, diagnostics),
                }
            }
        }
    };
    (@list $first:literal $($word:literal)*) => { concat!("\"", $first, "\"" $(, " or \"", $word, "\"")*) };
}

pub(crate) use {section, string_enum};
