from django.urls import path
from django.views.generic import TemplateView

from accounts import views

urlpatterns = [
    path("api/auth/register", views.Register.as_view()),
    path("api/auth/login", views.Login.as_view()),
    path("auth/login", views.Login.as_view()),
    path("api/auth/refresh", views.Refresh.as_view()),
    path("api/auth/me", views.Me.as_view()),
    path("auth/me", views.Me.as_view()),
    path("api/auth/change-password", views.ChangePassword.as_view()),
    path("api/auth/logout", views.Logout.as_view()),
    path("api/auth/password-reset", views.PasswordReset.as_view()),
    path("api/auth/password-reset/confirm", views.ConfirmPasswordReset.as_view()),
    path("password/<uidb64>/<token>", views.PasswordResetPage.as_view(), name="password-reset-page"),
    path(
        "password/done",
        TemplateView.as_view(template_name="accounts/password_done.html"),
        name="password-reset-done",
    ),
]
