//! One row of a table: what a setting is called, what it may hold, what it does.

use crate::error::ConfigError;
use crate::value::{FromText, Listener, QuorumVoter, ThrottledReplicas, list};

/// Kafka's `ConfigDef.Type`, with the codes that DescribeConfigs v3+ answers (KIP-569).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Boolean = 1,
    /// Any text.
    String = 2,
    /// 32 bits, signed.
    Int = 3,
    /// 16 bits, signed.
    Short = 4,
    /// 64 bits, signed.
    Long = 5,
    /// A floating-point number.
    Double = 6,
    /// Texts divided by commas; spaces around them do not count.
    List = 7,
    /// The name of a class.
    Class = 8,
    /// A text that is never shown.
    Password = 9,
}

impl Kind {
    /// The code of DescribeConfigs.
    pub fn code(self) -> i8 {
        self as i8
    }
}

/// Which values of its [`Kind`] a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Valid {
    /// All.
    Any,
    /// A number of at least this.
    AtLeast(i64),
    /// A number between these two, both included.
    Between(i64, i64),
    /// A number between these two, both included, or this one.
    BetweenOr(i64, i64, i64),
    /// A fraction between these two, both included.
    Fraction(f64, f64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A list whose every element is one of these, none twice.
    ListOf(&'static [&'static str]),
    /// A text or a list that is not empty.
    NonEmpty,
    /// A list of listeners that is not empty.
    Listeners,
    /// A list of voters, each id once. May be empty.
    Voters,
    /// A list of replicas, or `*` for all. May be empty.
    ThrottledReplicas,
}

/// Who may change a setting of a broker while it runs (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Nobody: it is read at the start.
    ReadOnly,
    /// AlterConfigs on one broker, or on all.
    PerBroker,
    /// AlterConfigs on all brokers; on one broker it is accepted as well.
    ClusterWide,
}

/// What a setting does in this version of Klamm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It acts.
    Acts,
    /// It is accepted, stored and shown, and changes nothing. The text says why.
    Inert(&'static str),
    /// Its feature does not exist here, and to ignore it would do harm: only its default is accepted.
    /// The text says what to do.
    Refused(&'static str),
}

/// A broker-wide name of a topic setting, and how many of the topic's units one of its units is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The broker-wide key.
    pub key: &'static str,
    /// `3_600_000` for hours where the topic setting counts milliseconds.
    pub scale: i64,
}

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// The key, unique in its table.
    pub key: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its default; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// Its range.
    pub valid: Valid,
    /// Other names of the same setting in the layers below, first one wins.
    pub aliases: &'static [Alias],
    /// Who may change it at run time. Topic and group settings are always dynamic.
    pub update: Update,
    /// What it does.
    pub effect: Effect,
    /// One or two sentences, Markdown.
    pub doc: &'static str,
}

impl Setting {
    /// A row that takes any value of its kind, is read-only, and acts.
    pub const fn new(key: &'static str, kind: Kind, default: Option<&'static str>) -> Self {
        Self {
            key,
            kind,
            default,
            valid: Valid::Any,
            aliases: &[],
            update: Update::ReadOnly,
            effect: Effect::Acts,
            doc: "",
        }
    }

    /// The same row with a range.
    pub const fn valid(mut self, valid: Valid) -> Self {
        self.valid = valid;
        self
    }

    /// The same row with other names.
    pub const fn aliases(mut self, aliases: &'static [Alias]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The same row, changeable per broker.
    pub const fn per_broker(mut self) -> Self {
        self.update = Update::PerBroker;
        self
    }

    /// The same row, changeable for all brokers.
    pub const fn cluster_wide(mut self) -> Self {
        self.update = Update::ClusterWide;
        self
    }

    /// The same row, accepted without effect.
    pub const fn inert(mut self, why: &'static str) -> Self {
        self.effect = Effect::Inert(why);
        self
    }

    /// The same row, refused unless it holds its default.
    pub const fn refused(mut self, why: &'static str) -> Self {
        self.effect = Effect::Refused(why);
        self
    }

    /// The same row, documented.
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// Whether its value is never shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// Whether nobody may change it while the broker runs.
    pub fn is_read_only(&self) -> bool {
        self.update == Update::ReadOnly
    }

    /// Checks `value` against kind, range and effect.
    pub fn check(&self, value: &str) -> Result<(), ConfigError> {
        let text = value.trim();
        if !(self.has_kind(text) && self.in_range(text)) {
            return Err(self.invalid(value));
        }
        match self.effect {
            Effect::Refused(hint) if !self.is_default(text) => Err(ConfigError::Refused {
                key: self.key.to_owned(),
                value: self.shown(value),
                hint: hint.to_owned(),
            }),
            Effect::Refused(_) | Effect::Acts | Effect::Inert(_) => Ok(()),
        }
    }

    /// The error for a value that this setting does not take.
    pub(crate) fn invalid(&self, value: &str) -> ConfigError {
        ConfigError::Invalid {
            key: self.key.to_owned(),
            value: self.shown(value),
            expected: self.expected(),
        }
    }

    /// What it takes, in words.
    pub fn expected(&self) -> String {
        let kind = match self.kind {
            Kind::Boolean => "true or false",
            Kind::Int => "a whole number of 32 bits",
            Kind::Short => "a whole number of 16 bits",
            Kind::Long => "a whole number of 64 bits",
            Kind::Double => "a number",
            Kind::List => "a list divided by commas",
            Kind::String | Kind::Class | Kind::Password => "a text",
        };
        match self.valid {
            Valid::Any => kind.to_owned(),
            Valid::NonEmpty => format!("{kind} that is not empty"),
            Valid::Listeners => "NAME://host:port, more of them divided by commas".to_owned(),
            Valid::Voters => "id@host:port, more of them divided by commas".to_owned(),
            Valid::ThrottledReplicas => {
                "partition:broker, more of them divided by commas, or *".to_owned()
            }
            Valid::AtLeast(least) => format!("{kind}, at least {least}"),
            Valid::Between(least, most) => format!("{kind} from {least} to {most}"),
            Valid::BetweenOr(least, most, or) => format!("{kind} from {least} to {most}, or {or}"),
            Valid::Fraction(least, most) => format!("{kind} from {least} to {most}"),
            Valid::OneOf(texts) => format!("one of {}", texts.join(", ")),
            Valid::ListOf(texts) => format!("a list of {}, none twice", texts.join(", ")),
        }
    }

    fn shown(&self, value: &str) -> String {
        if self.is_sensitive() { "[hidden]".to_owned() } else { value.to_owned() }
    }

    fn is_default(&self, text: &str) -> bool {
        let default = self.default.unwrap_or_default();
        match self.kind {
            Kind::Boolean => text.eq_ignore_ascii_case(default),
            _ => text == default,
        }
    }

    fn has_kind(&self, text: &str) -> bool {
        match self.kind {
            Kind::Boolean => {
                text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
            }
            Kind::Int => text.parse::<i32>().is_ok(),
            Kind::Short => text.parse::<i16>().is_ok(),
            Kind::Long => text.parse::<i64>().is_ok(),
            Kind::Double => text.parse::<f64>().is_ok_and(f64::is_finite),
            Kind::List | Kind::String | Kind::Class | Kind::Password => true,
        }
    }

    fn in_range(&self, text: &str) -> bool {
        let number = || text.parse::<i64>();
        match self.valid {
            Valid::Any => true,
            Valid::NonEmpty if self.kind == Kind::List => list(text).next().is_some(),
            Valid::NonEmpty => !text.is_empty(),
            Valid::Listeners => {
                list(text).next().is_some() && list(text).all(|one| one.parse::<Listener>().is_ok())
            }
            Valid::Voters => <Vec<QuorumVoter>>::from_text(Some(text)).is_some(),
            Valid::ThrottledReplicas => ThrottledReplicas::from_text(Some(text)).is_some(),
            Valid::AtLeast(least) => number().is_ok_and(|n| n >= least),
            Valid::Between(least, most) => number().is_ok_and(|n| (least..=most).contains(&n)),
            Valid::BetweenOr(least, most, or) => {
                number().is_ok_and(|n| n == or || (least..=most).contains(&n))
            }
            Valid::Fraction(least, most) => {
                text.parse::<f64>().is_ok_and(|n| (least..=most).contains(&n))
            }
            Valid::OneOf(texts) => texts.contains(&text),
            Valid::ListOf(texts) => {
                let elements: Vec<&str> = list(text).collect();
                let is_first = |(at, element)| !elements[..at].contains(element);
                elements.iter().enumerate().all(|(at, e)| texts.contains(e) && is_first((at, e)))
            }
        }
    }
}
