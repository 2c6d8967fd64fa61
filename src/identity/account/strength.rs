//! Whether a new password would withstand guessing.
//!
//! What counts is its length and how soon somebody would try it who knows what people choose (NIST SP 800-63B-4 section
//! 3.1.1.2, OWASP ASVS 6.2): no rules on kinds of characters. The estimate is zxcvbn's, with its lists of passwords, names,
//! words, rows of keys, repetitions and dates.

use zxcvbn::{Score, zxcvbn};

use super::{MAX_BYTES, MIN_LENGTH, PasswordError};

/// At least 10^10 guesses: hopeless against a slow hash, also for who has stolen it. One step less would let `1234password!!`
/// pass.
const ENOUGH: Score = Score::Four;
/// Words about the person that are shorter than this are in too many good passwords to be looked for.
const TELLING: usize = 4;

/// Checks a new password. `about` is what people know of its owner: the address, the name, the organisation.
pub(super) fn check(password: &str, about: &[String]) -> Result<(), PasswordError> {
    if password.len() > MAX_BYTES {
        return Err(PasswordError::TooLong);
    }
    if password.chars().count() < MIN_LENGTH {
        return Err(PasswordError::TooShort);
    }
    let words: Vec<String> = about.iter().flat_map(|text| words(text)).collect();
    let plain = password.to_ascii_lowercase();
    if words.iter().any(|word| plain.contains(word)) {
        return Err(PasswordError::Personal);
    }
    if zxcvbn(password, &[]).score() < ENOUGH { Err(PasswordError::TooCommon) } else { Ok(()) }
}

/// The words of a name or an address that would give its owner away, in lower case; ASCII only, as the password is compared.
fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| word.chars().count() >= TELLING).map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> Vec<String> {
        ["maria.nowak@fabrikam.example", "María Nowak-Lee", "Contoso Ltd"].map(str::to_owned).into()
    }

    #[test]
    fn good_passwords_are_taken() {
        for good in ["correct horse battery", "Tr0ub4dor&3 und so", "пароль из слов", "vxlqmzkwprty", "lee likes long walks"]
        {
            assert_eq!(check(good, &about()), Ok(()), "{good}");
        }
        assert_eq!(check(&"long words ".repeat(93), &[]), Ok(()), "1,023 bytes");
    }

    #[test]
    fn weak_passwords_are_told_what_is_wrong() {
        for short in ["", "short", "elevenchars", "ééééééééééé"] {
            assert_eq!(check(short, &[]), Err(PasswordError::TooShort), "{short}");
        }
        for common in [
            "password1234",
            "Password2026!",
            "1234password!!",
            "P@ssw0rd2026",
            "Welcome123456",
            "123456789012",
            "098765432109",
            "qwertyuiopas",
            "Qwerty123456",
            "abcdefghijkl",
            "aaaaaaaaaaaa",
            "abababababab",
            "abcdeabcdeabcde",
            "passwordpassword",
            "1qaz2wsx3edc",
            "Summer2026!!!",
            "............",
            "iloveyouforever",
        ] {
            assert_eq!(check(common, &[]), Err(PasswordError::TooCommon), "{common}");
        }
        assert_eq!(check(&"long".repeat(257), &[]), Err(PasswordError::TooLong));
    }

    /// OWASP ASVS 6.2.11: nothing that is known of the person or the organisation.
    #[test]
    fn what_is_known_of_the_owner_is_no_part_of_a_password() {
        for personal in ["maria likes cycling", "FABRIKAM+correct horse", "my nowak battery staple", "horse at contoso, blue"] {
            assert_eq!(check(personal, &about()), Err(PasswordError::Personal), "{personal}");
            assert_eq!(check(personal, &[]), Ok(()), "{personal}: of somebody else");
        }
    }
}
