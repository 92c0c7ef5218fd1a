"""The seal: whatever would replace a hook that carries isolation is refused when the class or the route is made."""

from __future__ import annotations

import pytest
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin as DrfListModelMixin
from rest_framework.permissions import AllowAny

from flowledger.api.base import OrgAPIView, SealBroken
from flowledger.api.mixins import ListModelMixin
from flowledger.api.routers import OrgRouter
from flowledger.api.viewsets import OrgViewSet
from flowledger.tenancy.models import ApiKey


class Intruder:
    """What a third-party mixin might bring."""

    def get_queryset(self):
        return ApiKey.all_orgs.all()


SEALED = sorted(OrgViewSet.sealed)


class TestClasses:
    @pytest.mark.parametrize("name", SEALED)
    def test_an_override_is_refused(self, name):
        with pytest.raises(SealBroken, match=name):
            type("Broken", (OrgViewSet,), {name: lambda self: None, "scope": None})

    def test_a_mixin_listed_first_is_refused_though_python_would_let_it_win(self):
        with pytest.raises(SealBroken, match="Intruder"):
            type("Broken", (Intruder, OrgViewSet), {"scope": None})

    def test_a_mixin_listed_last_cannot_win(self):
        made = type("Fine", (OrgViewSet, Intruder), {"scope": None})
        assert made.get_queryset is OrgViewSet.get_queryset

    def test_a_subclass_of_a_subclass_is_checked_too(self):
        middle = type("Middle", (OrgViewSet, ListModelMixin), {"scope": None})
        with pytest.raises(SealBroken):
            type("Broken", (middle,), {"permission_classes": (AllowAny,)})

    def test_plain_views_are_sealed_as_well(self):
        with pytest.raises(SealBroken, match="dispatch"):
            type("Broken", (OrgAPIView,), {"dispatch": lambda self, request: None})

    def test_drf_mixins_that_touch_no_hook_are_welcome(self):
        type("Fine", (OrgViewSet, DrfListModelMixin), {"scope": None})


class TestRoutes:
    def test_attributes_given_to_a_route_are_refused(self):
        made = type("Probe", (OrgAPIView,), {"scope": None})
        with pytest.raises(SealBroken, match="permission_classes"):
            made.as_view(permission_classes=[AllowAny])

    def test_attributes_given_to_an_action_are_refused(self):
        @action(detail=False, methods=["get"], authentication_classes=[])
        def open_door(self, request):
            return None

        made = type("Probe", (OrgViewSet,), {"scope": None, "model": ApiKey, "open_door": open_door})
        router = OrgRouter()
        router.register("probes", made, basename="probe")
        with pytest.raises(SealBroken, match="authentication_classes"):
            _ = router.urls

    def test_a_view_without_a_stated_scope_has_no_route(self):
        with pytest.raises(SealBroken, match="scope"):
            type("Probe", (OrgAPIView,), {}).as_view()
