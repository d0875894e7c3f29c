"""Documents for tests: handed in and worked on as a worker does; and a PDF, byte by byte."""

from typing import Any

from accounts.models import Membership
from ai import jobs
from ai.knowledge import documents
from ai.models import Document


def hand_in(
    member: Membership, text: str | bytes, *, kind: str = "text", title: str = "Handbook", **fields: Any
) -> Document:
    """Add a document, and do the work that is queued for it."""
    data = text.encode() if isinstance(text, str) else text
    added = documents.add(data, kind=kind, title=title, workspace=member.workspace, by=member.user, **fields)
    jobs.prepare_document(document_id=added.pk, language="en")
    return Document.objects.get(pk=added.pk)


def make_pdf(*pages: str, trailer: str = "") -> bytes:
    """A PDF with a line of text on each page; an empty one has no text, as a scan has none. Source: ISO 32000-1, 7.5."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for text in pages:
        shown = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        stream = f"BT /F1 12 Tf 72 720 Td ({shown}) Tj ET" if text else ""
        objects.append(f"<< /Length {len(stream.encode('latin-1'))} >>\nstream\n{stream}\nendstream")
        font = "<< /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(objects)} 0 R /Resources << /Font {font} >> >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out = b"%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + end.encode("latin-1")
