"""Who may do what: tokens, roles, reviews, impersonation."""

import pytest

RBAC = "rbac.authorization.k8s.io/v1"


@pytest.fixture
async def reader(api):
    """Bob may read ConfigMaps here, and one Secret."""
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"], "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["*"]},
    ]
    await api.post(api.of(RBAC, "roles"), {"metadata": {"name": "r"}, "rules": rules})
    binding = {
        "metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "bob", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    made = await api.post(api.of(RBAC, "rolebindings"), binding)
    assert made.code == 201


async def allowed(user, path):
    import asyncio

    for _ in range(40):
        answer = await user.get(path)
        if answer.code != 403:
            return answer.code
        await asyncio.sleep(0.05)
    return 403


async def test_without_a_token_nothing_is_given(nobody):
    answer = await nobody.get(nobody.core("configmaps"))
    assert (answer.code, answer["reason"]) == (403, "Forbidden")
    assert 'User "system:anonymous" cannot list resource "configmaps"' in answer["message"]


async def test_a_wrong_token_is_unauthorized(nobody):
    answer = await nobody.get(nobody.core("configmaps"), headers={"Authorization": "Bearer wrong"})
    assert (answer.code, answer["reason"], answer["message"]) == (401, "Unauthorized", "Unauthorized")


async def test_a_user_without_a_role_is_forbidden(bob):
    answer = await bob.post(bob.core("configmaps"), {"metadata": {"name": "a"}})
    assert (answer.code, answer["reason"]) == (403, "Forbidden")
    assert answer["message"] == (
        'configmaps is forbidden: User "bob" cannot create resource "configmaps" in API group "" '
        f'in the namespace "{bob.namespace}"'
    )
    assert answer["details"] == {"kind": "configmaps"}


async def test_a_role_allows_what_it_says_and_no_more(bob, reader):
    assert await allowed(bob, bob.core("configmaps")) == 200
    assert (await bob.get(bob.core("secrets", "one"))).code == 404
    assert (await bob.get(bob.core("secrets", "two"))).code == 403
    assert (await bob.get(bob.core("secrets"))).code == 403
    assert (await bob.delete(bob.core("configmaps", "a"))).code == 403
    assert (await bob.get("/api/v1/namespaces/default/configmaps")).code == 403
    assert (await bob.get(bob.of("apps/v1", "deployments", "d") + "/scale")).code == 404
    assert (await bob.get(bob.of("apps/v1", "deployments", "d"))).code == 403


async def test_a_cluster_role_can_be_bound_in_one_namespace_or_everywhere(api, bob):
    name = f"role-{api.namespace}"
    role = {"metadata": {"name": name}, "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["list"]}]}
    await api.post(f"/apis/{RBAC}/clusterroles", role)
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    subject = [{"kind": "User", "name": "bob", "apiGroup": "rbac.authorization.k8s.io"}]
    await api.post(api.of(RBAC, "rolebindings"), {"metadata": {"name": "b"}, "roleRef": ref, "subjects": subject})
    assert await allowed(bob, bob.core("pods")) == 200
    assert (await bob.get("/api/v1/pods")).code == 403
    everywhere = {"metadata": {"name": name}, "roleRef": ref, "subjects": subject}
    await api.post(f"/apis/{RBAC}/clusterrolebindings", everywhere)
    assert await allowed(bob, "/api/v1/pods") == 200
    await api.delete(f"/apis/{RBAC}/clusterrolebindings/{name}")
    await api.delete(f"/apis/{RBAC}/clusterroles/{name}")


async def review(api, kind, spec, plural=None):
    group = "authorization.k8s.io/v1"
    body = {"apiVersion": group, "kind": kind, "spec": spec}
    return await api.post(f"/apis/{group}/{plural or kind.lower() + 's'}", body)


async def test_a_review_says_what_a_user_may(api, bob, reader):
    assert await allowed(bob, bob.core("configmaps")) == 200
    for verb, expected in (("list", True), ("delete", False)):
        attributes = {"verb": verb, "resource": "configmaps", "namespace": api.namespace}
        answer = await review(api, "SubjectAccessReview", {"user": "bob", "resourceAttributes": attributes})
        assert (answer.code, answer["status"]["allowed"]) == (201, expected)
        own = await review(bob, "SelfSubjectAccessReview", {"resourceAttributes": attributes})
        assert own["status"]["allowed"] is expected


async def test_an_administrator_may_do_everything(api):
    attributes = {"verb": "*", "resource": "*", "group": "*"}
    answer = await review(api, "SelfSubjectAccessReview", {"resourceAttributes": attributes})
    assert answer["status"]["allowed"] is True


async def test_a_token_is_reviewed(api):
    group = "authentication.k8s.io/v1"
    body = {"apiVersion": group, "kind": "TokenReview", "spec": {"token": "alice-token"}}
    answer = await api.post(f"/apis/{group}/tokenreviews", body)
    assert answer.code == 201
    assert answer["status"]["authenticated"] is True
    assert answer["status"]["user"]["username"] == "alice"
    assert set(answer["status"]["user"]["groups"]) == {"readers", "system:authenticated"}
    wrong = await api.post(f"/apis/{group}/tokenreviews", {**body, "spec": {"token": "nope"}})
    assert not wrong["status"].get("authenticated")


async def test_everybody_knows_who_they_are(bob):
    group = "authentication.k8s.io/v1"
    answer = await bob.post(f"/apis/{group}/selfsubjectreviews", {"apiVersion": group, "kind": "SelfSubjectReview"})
    assert (answer.code, answer["status"]["userInfo"]["username"]) == (201, "bob")


async def test_an_administrator_can_act_as_another(api, bob):
    answer = await api.get(api.core("configmaps"), headers={"Impersonate-User": "bob"})
    assert answer.code == 403
    refused = await bob.get(bob.core("configmaps"), headers={"Impersonate-User": "admin"})
    assert refused.code == 403
    assert "cannot impersonate" in refused["message"]


async def test_a_roles_reference_does_not_change(api, reader):
    patch = {"roleRef": {"name": "other"}}
    answer = await api.patch(api.of(RBAC, "rolebindings", "b"), patch)
    assert answer.code == 422


async def asked(api, name="robot", **spec):
    return await api.post(api.core("serviceaccounts", f"{name}/token"), {"spec": spec})


async def refused(user, path, headers):
    """The real server remembers for ten seconds whose a token was."""
    import asyncio

    for _ in range(80):
        answer = await user.get(path, headers=headers)
        if answer.code != 200:
            return answer.code
        await asyncio.sleep(0.25)
    return 200


async def test_a_token_of_a_service_account_is_good_for_it_until_the_account_is_gone(api, nobody, reader):
    await api.post(api.core("serviceaccounts"), {"metadata": {"name": "robot"}})
    binding = {
        "metadata": {"name": "robot"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": api.namespace}],
    }
    await api.post(api.of(RBAC, "rolebindings"), binding)

    issued = await asked(api, expirationSeconds=600)
    token = issued["status"]["token"]
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    found = await api.post("/apis/authentication.k8s.io/v1/tokenreviews", review)
    own = {"Authorization": f"Bearer {token}"}

    assert (issued.code, issued["kind"], issued["spec"]["expirationSeconds"]) == (201, "TokenRequest", 600)
    user = found["status"]["user"]
    assert user["username"] == f"system:serviceaccount:{api.namespace}:robot"
    assert set(user["groups"]) >= {"system:serviceaccounts", f"system:serviceaccounts:{api.namespace}"}
    assert (await nobody.get(api.core("configmaps"), headers=own)).code == 200
    assert (await nobody.get(api.core("secrets"), headers=own)).code == 403

    await api.delete(api.core("serviceaccounts", "robot"))
    assert await refused(nobody, api.core("configmaps"), own) == 401


async def test_a_token_that_nobody_may_have_is_refused(api):
    assert (await asked(api, name="nobody")).code == 404
    await api.post(api.core("serviceaccounts"), {"metadata": {"name": "robot"}})
    answer = await asked(api, expirationSeconds=60)
    assert (answer.code, answer["details"]["causes"][0]["field"]) == (422, "spec.expirationSeconds")
    assert "may not specify a duration less than 10 minutes" in answer["message"]
