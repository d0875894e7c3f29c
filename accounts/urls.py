from django.urls import path
from django.views.generic import TemplateView

from accounts import invitation_views, team_views, views

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
    path("api/v1/members", team_views.Members.as_view()),
    path("api/v1/members/<int:member_id>", team_views.OneMember.as_view()),
    path("api/v1/workspaces", team_views.Workspaces.as_view()),
    path("api/v1/workspaces/<int:workspace_id>/switch", team_views.SwitchWorkspace.as_view()),
    path("api/v1/invitations", invitation_views.Invitations.as_view()),
    path("api/v1/invitations/accept", invitation_views.AcceptInvitation.as_view()),
    path("api/v1/invitations/<int:invitation_id>", invitation_views.OneInvitation.as_view()),
    path("api/v1/invitations/<int:invitation_id>/resend", invitation_views.ResendInvitation.as_view()),
    path("invitations/done", TemplateView.as_view(template_name="accounts/joined.html"), name="joined"),
    path("invitations/<token>", invitation_views.JoinPage.as_view(), name="invitation"),
    path("password/<uidb64>/<token>", views.PasswordResetPage.as_view(), name="password-reset-page"),
    path(
        "password/done",
        TemplateView.as_view(template_name="accounts/password_done.html"),
        name="password-reset-done",
    ),
]
