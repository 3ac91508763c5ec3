//! The kernel's randomness: one stream is as independent as many.

use crate::dice::Dice;

use super::platform;

/// The kernel's random numbers, whatever the concern.
#[derive(Debug, Default)]
pub struct RealDice(());

impl RealDice {
    /// The kernel's dice.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Dice for RealDice {
    fn fill(&self, _concern: &'static str, bytes: &mut [u8]) {
        // Ids and tokens drawn from anything weaker could collide or be guessed: stop instead.
        platform::fill_random(bytes).expect("the kernel always has randomness once it has booted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let dice = RealDice::new();
        let (mut one, mut two) = ([0; 300], [0; 300]);
        dice.fill("test", &mut one);
        dice.fill("test", &mut two);
        assert_ne!(one, two);
        assert_ne!(one[268..], [0; 32]);
    }
}
