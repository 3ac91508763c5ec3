//! `settings!`: rows that are typed fields as well.

/// Declares a struct whose fields are settings. The doc comment of a field is the documentation of its
/// row. Gives the struct, its rows as `Struct::ROWS`, and `Struct::read`, which takes each value from a
/// lookup that has already applied layers and defaults.
macro_rules! settings {
    (
        $(#[$struct_doc:meta])*
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])+ $field:ident: $type:ty = $row:expr; )+
        }
    ) => {
        $(#[$struct_doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        impl $name {
            /// The rows behind the fields, in their order.
            pub const ROWS: &'static [$crate::setting::Setting] =
                &[ $( $row.doc(concat!($($doc),+)), )+ ];

            /// Fills every field from `lookup`, which answers the value that is in force.
            pub(crate) fn read(
                mut lookup: impl FnMut(&'static $crate::setting::Setting) -> Option<String>,
            ) -> Result<Self, $crate::error::ConfigError> {
                let mut rows = Self::ROWS.iter();
                $( let $field = {
                    let row = rows.next().expect("one row per field");
                    $crate::value::field::<$type>(row, lookup(row).as_deref())?
                }; )+
                Ok(Self { $( $field, )+ })
            }
        }
    };
}

pub(crate) use settings;
