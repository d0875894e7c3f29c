"""Front doors: taking imports and bulk changes back."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import IsManager
from accounts.requests import SignedInRequest
from leads import undoing
from leads.history import Author
from leads.models import Undo
from leads.serializers.undo import UndoSerializer
from zevix.api.idempotency import Idempotent
from zevix.errors import NotFound


class UndoAct(Idempotent, APIView):
    """Undoes what the number in the path names; subclasses say which kind of act that is."""

    permission_classes = [IsManager]
    kind: str

    @extend_schema(responses=UndoSerializer)
    def get(self, request: SignedInRequest, number: int) -> Response:
        """How far the undo is, and what it kept."""
        act = f"{self.kind}:{number}"
        undo = Undo.objects.for_workspace(request.workspace).filter(act=act).first()
        if undo is None:
            raise NotFound
        return Response(UndoSerializer(undo).data)

    @extend_schema(request=None, responses={200: UndoSerializer, 202: UndoSerializer})
    def post(self, request: SignedInRequest, number: int) -> Response:
        """Take the act back: what it created goes to the bin, what it changed returns. Long ones go on in the background (202)."""
        undo = undoing.undo(f"{self.kind}:{number}", workspace=request.workspace, by=Author.of(request.membership))
        over = undo.status == Undo.Status.COMPLETED
        return Response(UndoSerializer(undo).data, status=status.HTTP_200_OK if over else status.HTTP_202_ACCEPTED)


class UndoImport(UndoAct):
    kind = "import"


class UndoBulkChange(UndoAct):
    kind = "bulk"
