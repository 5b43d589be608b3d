//! The few pieces of HTML that every section shares.

use super::numbers::count;

/// Replaces the characters that mean something in HTML text and in quoted attributes.
///
/// Everything that a user chose goes through here: class names, sample ids, directory names, configuration.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Not allowed in HTML, and a file name can hold them.
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}' => escaped.push('\u{fffd}'),
            // They turn round the text about a name.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Cuts a long name in the middle, where names differ least.
pub(crate) fn shorten(name: &str, max_chars: usize) -> String {
    let length = name.chars().count();
    if length <= max_chars {
        return name.to_owned();
    }
    let kept = max_chars.saturating_sub(1);
    let head: String = name.chars().take(kept.div_ceil(2)).collect();
    let tail: String = name.chars().skip(length - kept / 2).collect();
    format!("{head}…{tail}")
}

/// A figure: heading, content, and the sentence that says what to look at.
///
/// `caption` and `content` are HTML, `heading` is text.
pub(crate) fn figure(heading: &str, content: &str, caption: &str) -> String {
    format!(
        "<figure class=\"panel\"><h3>{}</h3>{content}<figcaption>{caption}</figcaption></figure>\n",
        escape(heading)
    )
}

/// A figure over both columns of the page.
pub(crate) fn wide(figure: &str) -> String {
    figure.replacen("class=\"panel\"", "class=\"panel span\"", 1)
}

/// The name of a sample's file, to be read and copied.
pub(crate) fn file_name(id: &str) -> String {
    format!("<p class=\"file\">{}</p>", escape(id))
}

/// Says how many classes a figure leaves out; nothing where it shows all.
pub(crate) fn more_classes(left_out: usize) -> String {
    match left_out {
        0 => String::new(),
        1 => "<p class=\"empty\">1 more class is not shown.</p>".to_owned(),
        _ => format!("<p class=\"empty\">{} more classes are not shown.</p>", count(left_out as u64)),
    }
}

/// One entry of a legend.
pub(crate) struct Key<'a> {
    /// Classes of the mark: a colour such as `train`, and `dashed`, `dot` or `bar`.
    pub(crate) class: &'a str,
    /// Text.
    pub(crate) label: &'a str,
}

/// A legend; `aria-hidden` marks, readable labels.
pub(crate) fn legend(keys: &[Key<'_>]) -> String {
    let items: String = keys
        .iter()
        .map(|Key { class, label }| {
            format!("<li><i class=\"key {class}\" aria-hidden=\"true\"></i>{}</li>", escape(label))
        })
        .collect();
    format!("<ul class=\"legend\">{items}</ul>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_quotes_of_a_name_become_text() {
        assert_eq!(
            escape("<img src=x onerror='a(\"b\")'> & co\0"),
            "&lt;img src=x onerror=&#39;a(&quot;b&quot;)&#39;&gt; &amp; co\u{fffd}"
        );
        assert_eq!(escape("Größe 猫"), "Größe 猫");
        assert_eq!(escape("gnp\u{202e}.exe"), "gnp\u{fffd}.exe");
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(shorten("train/photos/0001.png", 11), "train…1.png");
        assert_eq!(shorten("ééééé", 5), "ééééé");
        assert_eq!(shorten("éééééé", 5), "éé…éé");
    }
}
