"""The rows of Seldon Core v1's contract, each with the tests that show it here, below `tests/` or `e2e/`.

What differs on purpose stands in docs/seldondeployment.md, with its reason; Ambassador is left out.
"""

_CONTRACT = "deployment/test_contract.py::test_what_is_rendered_for_a_sample_keeps_the_contract"
_GOLDEN = "deployment/test_golden.py::test_a_sample_renders_to_its_golden_file"
_BAD = "deployment/test_validation.py::test_a_bad_spec_is_told_by_field_and_value"
_GOOD = "deployment/test_validation.py::test_a_good_spec_passes"
_PORTS = "deployment/test_settings_of_the_operator.py::test_other_ports_and_names_reach_every_object"
_IMAGES = (
    "deployment/test_settings_of_the_operator.py::test_a_named_image_wins_over_the_config_map_and_replaces_itself_alone"
)
_SWITCHES = "deployment/test_fields.py::test_switches_are_read_in_the_spec_and_in_the_metadata"
_UPDATE = "deployment/test_updates.py::test_an_update_never_leaves_a_request_without_a_pod"
_VARIABLE = "controller_shell/test_settings.py::test_each_variable_of_seldon_cores_operator_sets_one_thing"
_SAMPLES = "e2e/test_samples.py::test_a_sample_becomes_available_keeps_the_contract_and_predicts"
_REST = "deployment/onserver/test_on_an_api_server.py::test_at_rest_nothing_is_written"
_ONSERVER = "deployment/onserver/test_on_an_api_server.py::"
_OTHERS = "deployment/onserver/test_other_kinds.py::"
_MOVED = (
    "deployment/onserver/test_told_otherwise.py::"
    "test_a_model_moves_to_the_other_ports_and_what_others_noted_in_its_status_stays"
)
_KEDA = "deployment/test_keda.py::"
_CREDENTIALS = "deployment/test_credentials.py::"
_DEFAULTS = "deployment/test_defaults.py::"
_EXPLAINERS = "deployment/test_explainers.py::"
_FIELDS = "deployment/test_fields.py::"
_PLAN = "deployment/test_plan.py::"
_RENDER = "deployment/test_render.py::"
_STATUS = "deployment/test_status.py::"
_ORCHESTRATOR = "orchestrator/"
_FAILED = f"{_ONSERVER}test_a_failed_update_keeps_serving_and_names_pod_and_error"

DEFINITION = {
    "1 versions v1, v1alpha2, v1alpha3, one schema": (
        "api/test_crds.py::test_the_old_versions_of_a_seldon_deployment_have_the_fields_of_the_stored_one",
        "manifests/test_applied.py::test_the_old_versions_of_a_seldon_deployment_are_served",
    ),
    "1 short name sdep, columns": ("manifests/test_applied.py::test_short_names_category_and_columns_are_served",),
    "1 subresources status and scale, with a selector": (
        "manifests/test_applied.py::test_kubectl_scales_both_kinds",
        "api/test_crds.py::test_every_column_and_scale_path_names_a_field",
    ),
    "1 small enough for kubectl apply (#4746)": (
        "api/test_crds.py::test_each_definition_is_small_enough_for_client_side_apply",
    ),
    "1 root and ten levels of children": (_BAD, _GOOD),
    "1.1 name, oauth_key, oauth_secret do nothing": (f"{_FIELDS}test_what_is_deprecated_changes_nothing",),
    "1.1 protocol; kfserving is v2": (f"{_STATUS}test_the_address_follows_the_protocol", _GOOD),
    "1.1 transport sets service_port, probes, explainers": (
        f"{_DEFAULTS}test_the_service_port_follows_the_transport",
        f"{_EXPLAINERS}test_an_explainer_over_grpc_asks_the_predictor_at_its_grpc_port",
    ),
    "1.1 replicas: component, predictor, SeldonDeployment": (
        f"{_FIELDS}test_replicas_are_the_components_else_the_predictors_else_the_seldondeployments",
    ),
    "1.1 serverType kafka": (
        _GOLDEN,
        _BAD,
        _GOOD,
        f"{_ORCHESTRATOR}test_topics.py::test_an_answer_has_the_key_and_the_headers_of_its_message",
        f"{_ORCHESTRATOR}test_topics.py::test_what_cannot_be_predicted_is_told_and_the_next_goes_on",
        f"{_ORCHESTRATOR}test_records.py::test_variables_say_what_is_read_and_flags_win",
    ),
    "1.1 annotations reach Deployments and pods": (
        f"{_FIELDS}test_annotations_of_each_level_reach_the_pods_and_the_nearer_one_wins",
    ),
    "1.2 labels; version": (
        f"{_DEFAULTS}test_a_predictor_gets_its_name_as_version_label",
        f"{_DEFAULTS}test_a_version_label_of_the_user_stays",
    ),
    "1.2 engineResources ignored, svcOrchSpec.resources": (
        f"{_FIELDS}test_engine_resources_of_old_are_ignored_and_those_of_svcorchspec_are_taken",
    ),
    "1.2 svcOrchSpec.env wins over seldon.io/engine-*": (
        f"{_RENDER}test_engine_annotations_and_variables_reach_the_orchestrator_and_the_users_win",
    ),
    "1.2 svcOrchSpec.replicas": (f"{_RENDER}test_fixed_a_separate_orchestrator_has_the_id_of_its_seldon_deployment",),
    "1.2 traffic; shadow": (_CONTRACT, f"{_RENDER}test_several_shadows_are_mirrored"),
    "1.2 ssl": (f"{_FIELDS}test_a_certificate_is_in_every_container_of_the_roots_pod_and_nowhere_else",),
    "1.2 progressDeadlineSeconds": (_GOLDEN, _FAILED),
    "1.3 type, implementation, methods": (
        f"{_DEFAULTS}test_the_type_of_a_node",
        f"{_ORCHESTRATOR}test_graph_walk.py::test_explicit_methods_are_called_beside_those_of_the_type",
    ),
    "1.3 built-ins": (
        f"{_ORCHESTRATOR}test_graph_walk.py::test_the_built_in_test_splits_as_its_ratio_says",
        "deployment/test_validation.py::test_what_is_taken_of_a_graph_is_what_an_orchestrator_takes",
    ),
    "1.3 endpoint; the user's ports": (f"{_DEFAULTS}test_ports_of_the_user_stay",),
    "1.3 parameters": (
        _CONTRACT,
        f"{_ORCHESTRATOR}test_graph_parse.py::test_parameters_have_the_type_that_they_declare",
    ),
    "1.3 modelUri, storageInitializerImage": (
        _CONTRACT,
        ("deployment/test_settings_of_the_operator.py::test_what_a_graph_names_wins_over_an_administrators_image"),
    ),
    "1.3 serviceAccountName, of the pod and for what it may read": (
        f"{_CREDENTIALS}test_an_s3_secret_becomes_variables_that_refer_to_it",
        f"{_CREDENTIALS}test_accounts_are_those_of_all_nodes_and_explainers",
    ),
    "1.3 envSecretRefName": (f"{_CREDENTIALS}test_a_secret_of_variables_is_the_environment_of_the_download",),
    "1.3 logger": (
        f"{_ORCHESTRATOR}test_payload_log.py::test_each_node_is_logged_once_where_it_says_and_others_by_default",
    ),
    "1.4 explainer: type, config, modelUri": (
        f"{_EXPLAINERS}test_an_explainer_of_the_seldon_protocol_gets_upstreams_arguments",
        f"{_EXPLAINERS}test_an_explainer_without_a_type_is_none",
    ),
    "1.4 explainer: initParameters": (f"{_EXPLAINERS}test_an_explainer_of_the_v2_protocol_is_mlserver",),
    "1.4 explainer: containerSpec, endpoint": (f"{_EXPLAINERS}test_what_the_user_says_of_the_container_wins",),
    "1.4 explainer: replicas": (
        f"{_EXPLAINERS}test_a_predictor_without_pods_has_no_explainer",
        f"{_EXPLAINERS}test_an_explainer_is_downloaded_as_it_says_and_runs_as_its_account",
    ),
    "1.4 explainer: serviceAccountName, envSecretRefName, storageInitializerImage": (
        f"{_EXPLAINERS}test_an_explainer_is_downloaded_as_it_says_and_runs_as_its_account",
    ),
    "1.5 metadata and name of a component": (_GOLDEN, _CONTRACT),
    "1.5 hpaSpec, v2beta1 too": (f"{_RENDER}test_metrics_of_v2beta1_become_v2", _CONTRACT),
    "1.5 kedaSpec goes before hpaSpec, and both before replicas": (
        f"{_KEDA}test_a_scaled_object_wins_over_an_autoscaler",
        f"{_KEDA}test_the_number_of_pods_is_kedas",
    ),
    "1.5 pdbSpec": (f"{_RENDER}test_fixed_budgets_cover_their_own_deployments_only",),
    "1.6 engine-separate-pod, in the spec alone": (f"{_FIELDS}test_an_engine_apart_is_asked_for_in_the_spec_alone",),
    "1.6 no-engine": (
        _CONTRACT,
        ("rollout/test_ports.py::test_a_model_without_an_orchestrator_is_reached_where_the_operator_serves_it"),
    ),
    "1.6 headless-svc": (_SWITCHES, f"{_PLAN}test_a_service_that_becomes_headless_or_stops_is_recreated"),
    "1.6 no-storage-initializer": (_GOLDEN,),
    "1.6 svc-name": (_CONTRACT, _BAD),
    "1.6 executor-logger-*": (_SWITCHES, _BAD),
    "1.6 rest-timeout, grpc-timeout, grpc-max-message-size": (
        f"{_FIELDS}test_time_outs_and_sizes_are_in_the_file_that_the_pods_read",
        f"{_ORCHESTRATOR}test_start.py::test_the_rest_timeout_is_in_milliseconds",
        f"{_ORCHESTRATOR}test_rpc_edges.py::test_the_annotation_limits_a_call_to_a_node",
        f"{_ORCHESTRATOR}test_rpc_edges.py::test_a_message_that_is_too_long_is_refused",
    ),
    "1.6 istio-gateway, istio-host, istio-retries": (_SWITCHES,),
    "1.6 engine-<x>": (f"{_RENDER}test_engine_annotations_and_variables_reach_the_orchestrator_and_the_users_win",),
    "1.6 label controller-id, of an object or a namespace": (
        f"{_ONSERVER}test_what_names_another_operator_is_left_to_it",
        f"{_ONSERVER}test_a_namespace_with_an_operator_of_its_own_is_left_to_it",
    ),
    "1.7 state, description, replicas, deploymentStatus, serviceStatus, address, conditions": (
        f"{_STATUS}test_when_all_is_in_effect_it_is_available",
    ),
    "1.7 explainerFor": (f"{_EXPLAINERS}test_the_status_says_whom_an_explainer_explains",),
    "1.7 annotations": (f"{_STATUS}test_what_others_note_in_the_status_stays", _MOVED),
    "1.7 observedGeneration (#4269)": (f"{_ONSERVER}test_a_model_becomes_available_with_at_most_twelve_writes",),
    "1.7 address by protocol": (f"{_STATUS}test_the_address_follows_the_protocol",),
    "1.8 ports by container name, over all predictors": (
        f"{_DEFAULTS}test_ports_are_counted_by_container_name_over_all_predictors",
        _VARIABLE,
    ),
    "1.8 a metrics port of another name": (_PORTS, f"{_DEFAULTS}test_a_metrics_port_is_added_to_nodes_only"),
    "1.8 pull policy, podinfo; podinfo of old removed": (
        _CONTRACT,
        f"{_FIELDS}test_what_the_user_says_of_a_nodes_container_wins",
    ),
    "1.8 service_host": (
        f"{_DEFAULTS}test_nodes_beside_the_orchestrator_are_local_and_others_are_reached_by_their_service",
        f"{_DEFAULTS}test_no_node_is_local_to_an_orchestrator_in_its_own_pod",
    ),
    "1.8 prepackaged nodes without a container": (
        f"{_DEFAULTS}test_prepackaged_nodes_get_containers_in_the_first_component",
        f"{_DEFAULTS}test_the_image_of_a_user_wins_over_the_configured_server",
    ),
    "1.9 each rule": (_BAD, _GOOD),
    "1.9 the webhook, in every version": (
        "admission/test_on_a_server.py::test_a_bad_object_is_refused_in_every_version",
    ),
    "1.9 whom the webhook judges": ("admission/test_review.py::test_what_another_operator_looks_after_is_not_judged",),
}

CREATED = {
    "2.1 names": (
        _CONTRACT,
        f"{_RENDER}test_long_names_are_hashed_as_upstream_does",
        f"{_FIELDS}test_a_name_that_is_too_long_may_begin_with_the_seldondeployments",
    ),
    "2.2 labels, selectors, annotations": (_CONTRACT, "deployment/test_contract.py::test_what_is_missing_is_a_breach"),
    "2.2 a changed selector (#4359)": (_UPDATE,),
    "2.2 the strategy (#1821)": (f"{_RENDER}test_fixed_the_update_strategy_is_configurable",),
    "2.2 user, grace": (f"{_FIELDS}test_a_pods_user_and_grace_are_the_users_else_the_operators",),
    "2.2 the live number of pods is kept": (
        f"{_PLAN}test_an_autoscalers_number_of_pods_survives_its_coming",
        f"{_ONSERVER}test_traffic_and_replicas_change_no_pod_template",
    ),
    "2.3 ports, probes, preStop, environment": (
        _CONTRACT,
        f"{_FIELDS}test_what_the_user_says_of_a_nodes_container_wins",
    ),
    "2.4 the orchestrator's container": (_CONTRACT, _PORTS),
    "2.4 its image": (
        "controller_shell/test_settings.py::test_of_two_variables_of_seldon_cores_operator_the_first_one_wins",
    ),
    "2.4 ENGINE_PREDICTOR": (
        f"{_RENDER}test_engine_predictor_is_base64_json_with_traffic_and_replicas_zero",
        f"{_RENDER}test_traffic_replicas_autoscalers_and_metadata_never_change_a_pod",
    ),
    "2.4 the command line is taken": (f"{_ORCHESTRATOR}test_start.py::test_the_operators_command_line_is_taken",),
    "2.5 Services": (_CONTRACT, f"{_FIELDS}test_annotations_of_each_level_reach_the_pods_and_the_nearer_one_wins"),
    "2.5 Services that nobody wants": ("deployment/test_updates.py::test_an_update_leaves_nothing_behind",),
    "2.6 HPA, KEDA and budgets that nobody wants": (
        f"{_PLAN}test_an_autoscaler_that_is_not_wanted_is_deleted_at_once",
        f"{_OTHERS}test_a_scaled_object_is_taken_whole_healed_and_gone_when_nobody_asks",
    ),
    "2.7 VirtualService and DestinationRules": (_CONTRACT, _SWITCHES),
    "2.7 a lone route (#1658)": (f"{_RENDER}test_fixed_a_lone_route_has_all_the_weight",),
    "2.7 shadows": (
        f"{_RENDER}test_a_shadow_without_traffic_gets_every_request",
        f"{_FIELDS}test_a_shadow_has_its_label_and_a_rule_of_its_own",
    ),
    "2.7 a TLS mode keeps the idle time-out": (f"{_RENDER}test_fixed_tls_keeps_the_idle_timeout",),
    "2.7 explainers": (_CONTRACT, f"{_OTHERS}test_explainers_are_taken_as_they_are_rendered"),
    "2.7 the gateway mesh": (f"{_EXPLAINERS}test_at_the_gateway_mesh_an_explainer_has_a_host_of_its_own", _BAD),
    "2.9 order; rule before route": (
        f"{_PLAN}test_the_first_writes_are_services_then_workloads_and_no_route_before_pods_are_ready",
    ),
    "2.9 old objects, orchestrators first": (
        f"{_PLAN}test_old_objects_are_marked_then_deleted_after_the_drain_orchestrators_first",
    ),
    "2.9 Failed and Creating": (f"{_STATUS}test_a_first_version_that_misses_its_deadline_is_failed", _FAILED),
    "2.9 owner references collect": (f"{_ONSERVER}test_a_deleted_model_takes_everything_with_it",),
    "2.9 what never reached the status": (
        "deployment/onserver/test_put_right.py::test_a_process_that_dies_after_every_single_write_converges_and_leaks_nothing",
    ),
    "2.10 images by protocol, from the config map": (
        f"{_RENDER}test_the_config_map_of_upstream_names_servers_and_the_initializer",
        "deployment/test_shipped.py::test_the_shipped_config_map_says_what_is_built_in",
    ),
    "2.10 RELATED_IMAGE_*": (_IMAGES, _VARIABLE),
    "2.10 each server": (
        _GOLDEN,
        "deployment/test_contract.py::test_the_samples_show_each_server_and_each_kind_of_graph",
    ),
    "2.10 TensorFlow Serving, two in a pod (#4146)": (
        f"{_FIELDS}test_two_models_of_tensorflow_serving_in_one_pod_have_a_server_each",
    ),
    "2.10 MLServer and Triton keep their metrics": (f"{_RENDER}test_fixed_v2_servers_keep_their_metrics_port",),
    "2.10 pvc://": (f"{_CREDENTIALS}test_a_claim_is_mounted_in_the_server_and_the_init_container",),
    "2.10 S3 and GCS": (
        f"{_CREDENTIALS}test_an_s3_secret_becomes_variables_that_refer_to_it",
        f"{_CREDENTIALS}test_a_google_secret_is_mounted_in_the_init_container_alone",
        f"{_ONSERVER}test_a_bucket_is_read_with_the_secrets_of_the_service_account",
    ),
    "2.10 explainers' images": (f"{_EXPLAINERS}test_the_config_map_names_the_explainers_images", _IMAGES),
    "2.11 variables of the operator": (
        _MOVED,
        "controller_shell/test_settings.py::test_the_variables_of_seldon_cores_operator_still_count",
        _VARIABLE,
        (
            "deployment/test_settings_of_the_operator.py::"
            "test_variables_of_the_operator_hold_with_and_without_a_config_map"
        ),
    ),
}

TOLD = {
    "4.1 URLs, the gateway, gRPC by headers": (_SAMPLES, _CONTRACT),
    "4.1 the exception for metrics": (
        "deployment/test_security.py::test_strict_leaves_metrics_and_probes_open_and_nothing_else",
        "deployment/test_settings_of_the_operator.py::test_what_is_open_to_anybody_follows_the_ports_and_names",
    ),
    "4.2 canary by a second predictor": (
        ("e2e/test_updates.py::test_predictors_come_and_go_and_the_running_one_is_not_restarted"),
    ),
    "4.3 shadow; logs by the client's puid": (
        f"{_RENDER}test_several_shadows_are_mirrored",
        f"{_ORCHESTRATOR}test_doors.py::test_the_clients_id_and_headers_are_kept_and_hop_by_hop_ones_dropped",
    ),
    "4.4 A/B test and bandits in a graph": (
        f"{_ORCHESTRATOR}test_bandits.py::test_feedback_moves_the_requests_to_the_child_that_earns",
        _SAMPLES,
    ),
    "4.5 a controller that patches traffic": (f"{_ONSERVER}test_traffic_and_replicas_change_no_pod_template",),
    "4.6 PodMonitor, dashboards": (
        "e2e/test_monitoring.py::test_every_panel_has_something_to_draw",
        "manifests/test_monitoring.py::test_alerts_and_panels_are_made_of_metrics_that_are_documented",
    ),
}

UNIT = {
    "6.3 names; ports; defaults; gRPC predictor; A/B test": (
        _CONTRACT,
        f"{_DEFAULTS}test_built_ins_have_no_endpoint",
        f"{_DEFAULTS}test_the_service_port_follows_the_transport",
    ),
    "6.3 webhook, HPA, prepackaged images": (_BAD, f"{_RENDER}test_metrics_of_v2beta1_become_v2", _IMAGES),
    "6.3 create; events": (
        f"{_ONSERVER}test_a_model_becomes_available_with_at_most_twelve_writes",
        f"{_ONSERVER}test_what_a_writer_should_know_is_an_event_said_once",
    ),
    "6.3 failure": (_FAILED, f"{_ONSERVER}test_what_the_api_server_refuses_is_told_in_its_words"),
    "6.3 a new Deployment takes the old one's place": (
        f"{_ONSERVER}test_a_replaced_predictor_serves_until_the_new_one_is_routed_and_then_goes",
    ),
    "6.3 engine arguments, annotations, bad numbers": (_SWITCHES, _BAD),
    "6.3 no-engine, true and false": (_GOOD, _CONTRACT),
    "6.3 the cleaner leaves what is not ours": (
        f"{_PLAN}test_something_of_others_under_our_name_is_an_obstacle_and_is_not_touched",
    ),
    "6.3 initializer: graph, variable, config map": (
        _IMAGES,
        ("deployment/test_settings_of_the_operator.py::test_what_a_graph_names_wins_over_an_administrators_image"),
    ),
    "6.3 no replicas of an explainer": (f"{_EXPLAINERS}test_a_predictor_without_pods_has_no_explainer",),
    "6.3 hosts as a list": (_SWITCHES,),
}
