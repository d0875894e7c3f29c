"""What is asked of a download."""

from rest_framework import serializers

from leads.downloads.downloading import FORMATS
from zevix.api.serializers import RequestSerializer


class DownloadOptions(RequestSerializer):
    format = serializers.ChoiceField(choices=list(FORMATS), default="csv")
