"""What users of Seldon Core v1 suffered from, with their own numbers and the tests that show it is otherwise here."""

SUFFERED = {
    "1 no progressive rollout: #1805": (
        "e2e/test_stories.py::test_a_better_model_is_promoted_by_itself_and_no_request_is_lost",
        "e2e/test_stories.py::test_a_bad_model_is_rolled_back_by_itself_with_its_reason",
    ),
    "2 503 around a rollout: #1461 #3857 #1354": (
        "deployment/test_updates.py::test_an_update_never_leaves_a_request_without_a_pod",
        "e2e/test_updates.py::test_workloads_are_edited_without_a_failed_request",
        "e2e/test_updates.py::test_predictors_come_and_go_and_the_running_one_is_not_restarted",
    ),
    "3 a Deployment recreated for its selector: #4359": (
        "e2e/test_updates.py::test_selectors_and_ports_change_without_a_failed_request",
        "deployment/onserver/test_after_seldon_core.py::test_what_seldon_core_left_is_taken_on_in_place",
    ),
    "4 the update strategy is fixed: #1821": (
        "deployment/test_render.py::test_fixed_the_update_strategy_is_configurable",
    ),
    "5 stuck, and no word of how far it is: #916 #4224 #4269 #255": (
        "deployment/onserver/test_on_an_api_server.py::test_a_failed_update_keeps_serving_and_names_pod_and_error",
        "deployment/onserver/test_on_an_api_server.py::test_a_model_becomes_available_with_at_most_twelve_writes",
        "deployment/test_plan.py::test_a_broken_update_leaves_the_old_version_and_its_route",
    ),
    "6 old pods stay, conflicts, Argo CD stuck: #1325 #5082 #668": (
        "deployment/test_updates.py::test_an_update_leaves_nothing_behind",
        "deployment/onserver/test_on_an_api_server.py::test_at_rest_nothing_is_written",
        "deployment/onserver/test_put_right.py::test_who_writes_at_the_same_time_makes_no_error",
        "manifests/test_argocd.py::test_a_seldon_deployment_is_as_its_state_says",
    ),
    "7 a busy loop with autoscalers, memory: #4922 #579 #1404": (
        "deployment/onserver/test_other_kinds.py::test_the_number_of_pods_that_keda_sets_is_left_to_it_and_told",
        "deployment/test_rest.py::test_a_minute_of_rest_has_nothing_to_write",
        "deployment/test_blueprints.py::test_only_so_many_are_kept",
    ),
    "8 what is added restarts the main predictor: #1110 #1183 #2008 #2016": (
        "deployment/test_updates.py::test_what_is_added_never_restarts_a_running_pod",
        "deployment/test_explainers.py::test_fixed_adding_an_explainer_does_not_restart_the_predictor",
    ),
    "9 wrong weights: #4067 #1658": (
        "deployment/test_render.py::test_fixed_a_lone_route_has_all_the_weight",
        "deployment/test_plan.py::test_no_traffic_goes_to_a_predictor_without_ready_pods",
        "localcluster/mesh/test_mesh_envoy.py::test_requests_are_split_by_weight_and_their_path_is_rewritten",
    ),
    "10 one shadow, whole, logs apart: #741 #2991 #3772 #3102 #2823": (
        "deployment/test_render.py::test_several_shadows_are_mirrored",
        "orchestrator/test_doors.py::test_the_clients_id_and_headers_are_kept_and_hop_by_hop_ones_dropped",
        "localcluster/mesh/test_mesh_envoy.py::test_mirrored_requests_reach_the_shadow_and_its_answers_reach_nobody",
    ),
    "11 no routing in replies, forms of a route: #1823 #2139 #2723 #1876 #3236": (
        "orchestrator/test_doors.py::test_routing_injection_can_be_switched",
        "orchestrator/test_feedback_walk.py::test_feedback_follows_the_routing_that_it_brings_back",
        "orchestrator/test_graph_walk.py::test_a_router_sends_to_the_child_that_it_names_in_any_form",
    ),
    "12 opaque errors: #3625 #2338 #1574 #974": (
        "orchestrator/test_faulty_nodes.py::test_a_node_that_hangs_is_given_up_after_the_annotated_time",
        "orchestrator/test_faulty_nodes.py::test_any_status_but_200_is_handed_on_with_its_body",
        "orchestrator/test_faulty_nodes.py::test_the_errors_of_the_data_plane_are_json",
    ),
    "13 gaps between protocols: #2299 #4789 #2006 #4146": (
        "orchestrator/test_rpc.py::test_a_graph_may_mix_rest_and_grpc",
        "orchestrator/test_rpc_protocols.py::test_a_tensorflow_chain_router_and_combiner_over_grpc",
        "deployment/test_fields.py::test_two_models_of_tensorflow_serving_in_one_pod_have_a_server_each",
    ),
    "14 metrics without version, of nodes, ports: #2766 #1729 #1685 #1901": (
        "orchestrator/test_graph_parse.py::test_the_version_comes_from_labels_first",
        "orchestrator/test_doors.py::test_requests_and_calls_are_counted_by_upstreams_names_and_labels",
        "orchestrator/test_doors.py::test_each_call_is_booked_to_its_own_node_and_code",
        "deployment/test_render.py::test_fixed_v2_servers_keep_their_metrics_port",
    ),
    "15 the sidecar's cost, one connection: #314 #597 #769 #1558 #3356": (
        "controller_shell/test_settings.py::test_the_variables_of_seldon_cores_operator_still_count",
        "deployment/test_fields.py::test_engine_resources_of_old_are_ignored_and_those_of_svcorchspec_are_taken",
        "orchestrator/test_pool.py::test_more_requests_than_connections_wait_their_turn",
        "orchestrator/test_faulty_nodes.py::test_too_many_requests_at_a_time_are_refused_at_once",
    ),
    "16 names that are hashes: #2301 #1801 #1128 #556": (
        "deployment/test_fields.py::test_a_name_that_is_too_long_may_begin_with_the_seldondeployments",
    ),
    "17 hosts, gateways, no Istio: #3137 #4627 #1440": (
        "deployment/test_explainers.py::test_fixed_an_explainers_route_takes_the_hosts_of_its_deployment",
        "deployment/test_validation.py::test_a_bad_spec_is_told_by_field_and_value",
        "deployment/onserver/test_on_an_api_server.py::test_without_istio_a_model_is_available_and_a_condition_says_so",
    ),
    "18 headers and the request's id: #967 #4060 #3389 #1709": (
        "orchestrator/test_doors.py::test_an_id_is_made_and_goes_to_the_node_and_back",
        "orchestrator/test_doors.py::test_the_clients_id_and_headers_are_kept_and_hop_by_hop_ones_dropped",
        "orchestrator/test_rpc_edges.py::test_calls_are_counted_by_upstreams_labels_and_the_id_is_in_the_header",
    ),
}
