from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class ZevixConfig(AppConfig):
    name = "zevix"


class AdminConfig(DjangoAdminConfig):
    default_site = "zevix.admin_site.ZevixAdminSite"
