"""What goes wrong to order."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

AFTER = {"timeout_after", "cut", "500_after", "504_after", "kill"}
"""These happen when the request has had its effect."""
KINDS = AFTER | {
    "late", "timeout_before", "cut_before", "500", "503", "503_html", "429", "429_bare", "401", "402", "403", "403_html", "feature_capping",
    "garbage", "no_json", "wrong_form",
}  # fmt: skip


@dataclass
class Fault:
    how: str
    on: str
    left: int
    skip: int

    def meets(self, request: str) -> bool:
        """Whether it strikes now; it does so as often as told, after it has let so many go."""
        if not self.left or not fnmatchcase(request, self.on):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.left -= 1
        return True


HTML = b"<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head><body>Sorry, you have been blocked</body></html>"
