//! Java's `.properties` syntax.
//!
//! ```text
//! # a comment, as is !
//! log.dirs = /data          \u0041 \t \n \\ and a backslash at the end of a line, which goes on
//! listeners: PLAINTEXT://:9092
//! ```

use std::iter::Peekable;
use std::str::Chars;

use crate::Properties;
use crate::error::ConfigError;

/// Parses a text. A key that appears twice keeps its last value, as in Java.
pub fn parse(text: &str) -> Result<Properties, ConfigError> {
    let mut properties = Properties::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = line.to_owned();
        while ends_in_continuation(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start()),
                None => break,
            }
        }
        let (key, value) = entry(&logical).map_err(|problem| ConfigError::Syntax {
            place: format!("line {}", at + 1),
            problem,
        })?;
        properties.insert(key, value);
    }
    Ok(properties)
}

/// A line goes on if it ends in an odd number of backslashes.
fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

fn entry(line: &str) -> Result<(String, String), String> {
    let mut chars = line.chars().peekable();
    let key = text(&mut chars, |c| c == '=' || c == ':' || c.is_whitespace())?;
    if key.is_empty() {
        return Err(format!("expected key=value, found {line:?}"));
    }
    skip_spaces(&mut chars);
    if chars.next_if(|&c| c == '=' || c == ':').is_some() {
        skip_spaces(&mut chars);
    }
    let value = text(&mut chars, |_| false)?;
    Ok((key, value))
}

fn skip_spaces(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| c.is_whitespace()).is_some() {}
}

/// Reads up to a character that ends the text and is not escaped.
fn text(chars: &mut Peekable<Chars<'_>>, ends: impl Fn(char) -> bool) -> Result<String, String> {
    let mut units = Vec::new();
    while let Some(c) = chars.next_if(|&c| !ends(c)) {
        if c != '\\' {
            units.extend(c.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        match chars.next() {
            Some('t') => units.push(u16::from(b'\t')),
            Some('n') => units.push(u16::from(b'\n')),
            Some('r') => units.push(u16::from(b'\r')),
            Some('f') => units.push(0x0c),
            Some('u') => units.push(code_unit(chars)?),
            Some(other) => units.extend(other.encode_utf16(&mut [0; 2]).iter()),
            None => {}
        }
    }
    // Java's escapes are UTF-16: a character beyond 16 bits is two of them.
    String::from_utf16(&units).map_err(|_| "half of a surrogate pair".to_owned())
}

fn code_unit(chars: &mut Peekable<Chars<'_>>) -> Result<u16, String> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = chars
            .next()
            .and_then(|c| c.to_digit(16))
            .ok_or("expected four hexadecimal digits after \\u")?;
        unit = unit << 4 | u16::try_from(digit).expect("a hexadecimal digit is below 16");
    }
    Ok(unit)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn java_syntax_is_read() {
        let text = concat!(
            "# comment\n! comment\n\n   \n",
            "a=1\nb: 2\nc 3\n  d\t=\t4 \ne\n",
            "f = one, \\\n    two, \\\r\n    three\n",
            "g\\=h\\ i = \\u0041\\u00e9\\tx\\\\\n",
            "j = \\uD83D\\uDE00\n",
            "k = ends in two \\\\\nl = http://x:1=y\na = last\nm = \\",
        );
        let found = parse(text).unwrap();
        let expected = [
            ("a", "last"),
            ("b", "2"),
            ("c", "3"),
            ("d", "4 "),
            ("e", ""),
            ("f", "one, two, three"),
            ("g=h i", "Aé\tx\\"),
            ("j", "😀"),
            ("k", "ends in two \\"),
            ("l", "http://x:1=y"),
            ("m", ""),
        ];
        assert_eq!(found.iter().map(|(k, v)| (&**k, &**v)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_no_entry_is_named_by_its_line() {
        for (text, expected) in [
            ("a=1\n=2", "line 2: expected key=value, found \"=2\""),
            ("a = \\u00g0", "line 1: expected four hexadecimal digits after \\u"),
            ("\n\na = \\uD83D", "line 3: half of a surrogate pair"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected);
        }
    }
}
