//! Windows of time as values.

use super::Text;
use crate::window::Window;

impl Text for Window {
    const EXPECTED: &'static str = Window::EXPECTED;

    fn parse(text: &str) -> Result<Self, String> {
        Window::parse(text)
    }
}
