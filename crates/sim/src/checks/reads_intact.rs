//! What consumers are served are whole batches whose CRC is right.

use crate::history::{Event, History};

use super::Verdict;

pub(super) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    for (_, event) in history.events() {
        match event {
            Event::Damaged { partition, why } => {
                verdict.judge(false, || format!("{partition}: {why}"));
            }
            Event::Read { .. } => verdict.judge(true, String::new),
            _ => {}
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::told::check;
    use super::judge;

    #[test]
    fn bytes_that_are_no_records_are_caught() {
        check(judge, "read:1@0", "read:1@0 damaged:crc");
    }
}
