//! Enums of words that clients and rows write.

/// An enum with `ALL` of its variants, their `text` and the variant `named` by a text.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $text:literal $(: $doc:literal)?,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum $name { $($(#[doc = $doc])? $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As clients write it.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The one that clients write so.
            #[must_use]
            pub fn named(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.text() == text)
            }
        }
    };
}

pub(super) use words;
