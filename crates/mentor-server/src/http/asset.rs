//! A file of a page.

use axum::http::HeaderName;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

/// What a page may load: files of this server, and pictures that the user gave to the page. No script may
/// stand in a page itself, so that a name in it cannot become one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// A file of a page, compiled into the program.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    media_type: &'static str,
    text: &'static str,
}

impl Asset {
    /// A page. Its scripts and styles are files of their own.
    pub const fn html(text: &'static str) -> Self {
        Self { media_type: "text/html; charset=utf-8", text }
    }

    /// A style sheet.
    pub const fn css(text: &'static str) -> Self {
        Self { media_type: "text/css; charset=utf-8", text }
    }

    /// A script.
    pub const fn script(text: &'static str) -> Self {
        Self { media_type: "text/javascript; charset=utf-8", text }
    }

    /// A JSON document.
    pub const fn json(text: &'static str) -> Self {
        Self { media_type: "application/json", text }
    }
}

impl IntoResponse for Asset {
    fn into_response(self) -> Response {
        let headers: [(HeaderName, &str); 2] =
            [(CONTENT_TYPE, self.media_type), (CONTENT_SECURITY_POLICY, POLICY)];
        (headers, self.text).into_response()
    }
}
