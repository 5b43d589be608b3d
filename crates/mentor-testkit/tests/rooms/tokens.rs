//! Rust as a list of words and signs, without comments, strings and what only tests see.

/// The words and signs of `source`; a string or character is the sign `"`.
pub(crate) fn tokens(source: &str) -> Vec<String> {
    let chars: Vec<char> = source.chars().collect();
    let (mut found, mut at) = (Vec::new(), 0);
    let is = |at: usize, sign: char| chars.get(at) == Some(&sign);
    while at < chars.len() {
        let start = at;
        match chars[at] {
            '/' if is(at + 1, '/') => at = end_of_line(&chars, at),
            '/' if is(at + 1, '*') => at = end_of_comment(&chars, at),
            '"' => at = end_of_string(&chars, at),
            'r' | 'b' if raw_hashes(&chars, at).is_some() => {
                at = end_of_raw_string(&chars, at, raw_hashes(&chars, at).unwrap_or(0));
                found.push("\"".to_owned());
                continue;
            }
            '\'' => {
                at = end_of_character_or_lifetime(&chars, at);
                continue;
            }
            letter if letter.is_alphanumeric() || letter == '_' => {
                while at < chars.len() && (chars[at].is_alphanumeric() || chars[at] == '_') {
                    at += 1;
                }
                found.push(chars[start..at].iter().collect());
                continue;
            }
            ':' if is(at + 1, ':') => {
                found.push("::".to_owned());
                at += 2;
                continue;
            }
            sign => {
                if !sign.is_whitespace() {
                    found.push(sign.to_string());
                }
                at += 1;
                continue;
            }
        }
        if chars[start] == '"' {
            found.push("\"".to_owned());
        }
    }
    found
}

fn end_of_line(chars: &[char], from: usize) -> usize {
    (from..chars.len()).find(|&at| chars[at] == '\n').unwrap_or(chars.len())
}

fn end_of_comment(chars: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn end_of_string(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn end_of_character_or_lifetime(chars: &[char], from: usize) -> usize {
    match chars.get(from + 1) {
        Some('\\') => (from + 3..chars.len()).find(|&at| chars[at] == '\'').map_or(chars.len(), |at| at + 1),
        Some(_) if chars.get(from + 2) == Some(&'\'') => from + 3,
        _ => {
            let is_end = |&at: &usize| !(chars[at].is_alphanumeric() || chars[at] == '_');
            (from + 1..chars.len()).find(is_end).unwrap_or(chars.len())
        }
    }
}

/// The number of `#` of a raw string that begins here.
fn raw_hashes(chars: &[char], at: usize) -> Option<usize> {
    let before = at.checked_sub(1).map_or(' ', |before| chars[before]);
    let from = if chars[at] == 'b' { at + 1 } else { at };
    if before.is_alphanumeric() || before == '_' || chars.get(from) != Some(&'r') {
        return None;
    }
    let hashes = chars[from + 1..].iter().take_while(|&&sign| sign == '#').count();
    (chars.get(from + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn end_of_raw_string(chars: &[char], from: usize, hashes: usize) -> usize {
    let open = (from..chars.len()).find(|&at| chars[at] == '"').unwrap_or(from);
    let closes = |at: &usize| {
        chars[*at] == '"' && chars[at + 1..].iter().take_while(|&&sign| sign == '#').count() >= hashes
    };
    (open + 1..chars.len()).find(closes).map_or(chars.len(), |close| close + 1 + hashes)
}

/// Leaves out every item below `#[cfg(test)]`.
pub(crate) fn without_tests(tokens: Vec<String>) -> Vec<String> {
    const CFG: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if tokens[at..].iter().zip(CFG).filter(|(token, sign)| token == sign).count() == CFG.len() {
            at = end_of_item(&tokens, at + CFG.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Past the `;` or the closing brace of the item that begins here.
fn end_of_item(tokens: &[String], from: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => return at + 1,
            "}" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}
