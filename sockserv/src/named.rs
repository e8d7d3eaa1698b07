//! Enums that are stored as numbers and shown as words: no variant can be forgotten in either.

/// An enum that [`named`] declares.
pub(crate) trait Named: Copy + 'static {
    /// All of them, each at its own number.
    const ALL: &'static [Self];

    /// Returns its word, which does not change: logs, metrics and the operator's page show it.
    fn word(self) -> &'static str;

    /// Returns the one that `as u8` makes this number of.
    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// Declares an enum with a word for each variant.
macro_rules! named {
    ($(#[$attr:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$attr])*
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $crate::named::Named for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}
pub(crate) use named;
