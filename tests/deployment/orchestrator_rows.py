"""The rows of Seldon Core v1's contract of the orchestrator, each with the tests that show it here, below `tests/`.

What differs on purpose stands in docs/orchestrator.md, with its reason.
"""


def _named(file: str, *tests: str) -> tuple[str, ...]:
    return tuple(f"orchestrator/test_{file}.py::test_{test}" for test in tests)


_DOORS, _WALK, _START, _RPC, _EDGES = "doors", "graph_walk", "start", "rpc", "rpc_edges"
_OTHERS, _RPC_OTHERS, _FAULTY, _LOG = "other_protocols", "rpc_protocols", "faulty_nodes", "payload_log"

EXECUTOR = {
    "3.1 flags, and their defaults": _named(
        _START,
        "the_operators_command_line_is_taken",
        "every_flag_of_upstream_is_taken",
        "what_is_not_said_is_as_upstream_has_it",
        "gos_single_dash_and_bare_booleans_are_taken",
        "a_predictor_is_found_in_a_file_by_its_name",
        "durations_are_read_as_go_does",
    ),
    "3.1 environment: ENGINE_PREDICTOR, POD_NAME, the log level": _named(
        _START, "a_predictor_that_cannot_be_read_is_said", "the_environment_says_the_host_and_the_log_level"
    ),
    "3.1 environment: certificates": _named("tls", "requests_are_served_over_tls", "grpc_is_served_over_tls"),
    "3.1 environment: routing injection": _named(_START, "routing_injection_can_be_forced_either_way"),
    "3.1 environment: CORS": _named(_DOORS, "cors_is_as_the_environment_says"),
    "3.1 environment: KAFKA_*": _named("records", "variables_say_what_is_read_and_flags_win"),
    "3.1 environment: LOGGER_KAFKA_BROKER, LOGGER_KAFKA_TOPIC, and their flags": _named(
        "payload_topic", "flags_win_over_variables_and_the_topic_has_upstreams_name"
    ),
    "3.1 environment: JAEGER_*": _named(
        "tracing",
        "b3_is_read_and_written_as_jaeger_has_it_asked",
        "what_is_not_sampled_is_not_exported_and_nodes_are_told",
    ),
    "3.1 the end: SIGTERM, delay, grace, status": (
        *_named(
            "orchestrator_process",
            "at_sigterm_the_request_under_way_is_finished_and_the_status_is_0",
            "a_request_that_does_not_end_is_cut_off_after_the_graceful_time",
            "a_second_signal_ends_it_at_once",
        ),
        *_named(
            "drain",
            "no_new_connection_is_taken",
            "in_the_delay_it_is_not_ready_and_still_serves_who_connects",
        ),
    ),
    "3.2 live, ready, metrics, 404, 405, OPTIONS": _named(
        _DOORS, "paths_and_their_methods", "the_metrics_page_is_prometheus_text"
    ),
    "3.2 nosniff, puid and CORS on everything": _named(_DOORS, "paths_and_their_methods"),
    "3.2 seldon: predictions and feedback in both versions": (
        *_named(_DOORS, "predictions_have_two_paths"),
        *_named("feedback_walk", "nodes_that_take_no_feedback_are_not_asked"),
    ),
    "3.2 seldon: status, metadata, of a node and of the graph": _named(
        _DOORS,
        "paths_and_their_methods",
        "a_nodes_own_status_and_metadata_are_handed_on",
        "the_graphs_metadata_names_all_nodes",
    ),
    "3.2 seldon: the document and its page": _named(_DOORS, "the_document_has_the_paths_of_the_gateway"),
    "3.2 tensorflow": _named(
        _OTHERS,
        "a_tensorflow_chain_turns_predictions_to_instances",
        "tensorflow_status_metadata_and_feedback",
    ),
    "3.2 v2, and what it lacks upstream: /v2, live, versions, bytes": (
        *_named(
            _OTHERS,
            "v2_health_metadata_and_names",
            "a_v2_chain_turns_outputs_to_inputs_and_calls_each_node_by_its_own_name",
        ),
        *_named("binary_tensors", "a_model_gets_and_gives_bytes_as_they_are"),
    ),
    "3.2 v2: the document and its page": _named(_DOORS, "the_document_of_v2_has_the_paths_of_the_gateway_and_a_page"),
    "3.2 the model's name addresses a node or the graph": (
        *_named(_OTHERS, "a_v2_chain_turns_outputs_to_inputs_and_calls_each_node_by_its_own_name"),
        *_named(_RPC_OTHERS, "a_v2_name_addresses_a_node_or_the_graph_and_an_unknown_one_is_not_found"),
    ),
    "3.3 seldon: the service, and reflection": (
        *_named(_RPC, "every_unit_type_is_called_by_its_own_method", "metadata_of_nodes_and_of_the_graph"),
        *_named(_EDGES, "a_client_can_learn_the_protocol_by_reflection"),
    ),
    "3.3 tensorflow: both services": _named(
        _RPC_OTHERS,
        "what_tensorflows_models_alone_are_asked_is_handed_on",
        "a_tensorflow_chain_router_and_combiner_over_grpc",
        "tensorflows_model_service_tells_the_status_and_takes_no_configuration",
    ),
    "3.3 v2: all unit types, live, ready, metadata": _named(
        _RPC_OTHERS,
        "a_v2_chain_carries_tensors_as_they_are_and_calls_nodes_by_their_names",
        "a_v2_router_and_combiner_over_grpc",
        "v2_health_and_metadata_over_grpc",
    ),
    "3.3 metadata in goes to the nodes, the id comes back": (
        *_named(_RPC, "headers_and_metadata_cross_the_border"),
        *_named(_EDGES, "calls_are_counted_by_upstreams_labels_and_the_id_is_in_the_header"),
    ),
    "3.3 the nodes' methods": _named(
        _RPC, "every_unit_type_is_called_by_its_own_method", "feedback_goes_the_way_that_the_request_took"
    ),
    "3.4 the nodes' paths: seldon": (
        *_named(
            _WALK,
            "transformers_stand_before_and_behind_what_is_below_them",
            "explicit_methods_are_called_beside_those_of_the_type",
        ),
        *_named(_DOORS, "a_nodes_own_status_and_metadata_are_handed_on"),
    ),
    "3.4 the nodes' paths: tensorflow, v2": _named(
        _OTHERS,
        "a_tensorflow_combiner_over_a_tensorflow_router",
        "tensorflow_status_metadata_and_feedback",
        "a_v2_combiner_over_a_v2_router",
        "v2_health_metadata_and_names",
    ),
    "3.4 POST and GET, headers, the body as it is": _named(
        _DOORS,
        "a_nodes_own_status_and_metadata_are_handed_on",
        "content_type_and_encoding_of_the_request_reach_the_node",
        "the_clients_id_and_headers_are_kept_and_hop_by_hop_ones_dropped",
    )
    + _named(_WALK, "a_model_gets_the_clients_bytes_and_the_client_gets_the_models"),
    "3.5 down, and what a reply becomes": (
        *_named(_WALK, "a_chain_of_models_feeds_each_the_answer_of_the_one_above"),
        *_named(
            "turning",
            "the_first_of_the_names_says_what_it_is",
            "any_object_in_any_pieces_becomes_what_it_becomes_whole",
        ),
        *_named(_OTHERS, "columnar_tensorflow_outputs_cannot_be_chained"),
        *_named("protobuf_forms", "a_v2_reply_is_made_a_request_as_if_it_had_been_decoded"),
    ),
    "3.5 routes -1, -2, n, and those that lead nowhere": _named(
        _WALK,
        "route_minus_one_asks_all_children_and_gives_the_first_ones_answer",
        "route_minus_two_stops_and_gives_back_what_came",
        "a_router_sends_to_the_child_that_it_names_in_any_form",
        "a_route_to_nowhere_is_an_error_that_says_so",
        "children_are_asked_at_the_same_time",
        "the_first_childs_error_in_order_is_the_answer_when_several_fail",
    ),
    "3.5 RANDOM_ABTEST": (
        *_named(_WALK, "the_built_in_test_splits_as_its_ratio_says"),
        *_named("graph_parse", "a_draw_takes_the_first_child_when_it_is_below_the_ratio"),
    ),
    "3.5 aggregate, and up": _named(
        _WALK,
        "a_combiner_gets_the_childrens_answers_in_their_order",
        "transformers_stand_before_and_behind_what_is_below_them",
    ),
    "3.5 routing in the answer": (
        *_named(_DOORS, "routing_injection_can_be_switched"),
        *_named(_RPC, "built_in_routers_say_in_the_answer_which_way_they_took"),
        *_named("seldon_bytes", "routing_is_added_and_all_else_is_kept", "routing_leaves_what_is_no_object_alone"),
    ),
    "3.5 a leaf router": _named(_WALK, "a_leaf_router_is_never_asked"),
    "3.5 meta, as users expect it": (
        *_named(_WALK, "the_built_in_combiner_averages_and_merges_meta"),
        *_named("peers", "every_unit_type_works_on_real_nodes"),
        "node/test_unit_contract.py::test_tags_metrics_and_path_are_added_to_those_that_came",
    ),
    "3.6 feedback": (
        *_named(
            "feedback_walk",
            "feedback_follows_the_routing_that_it_brings_back",
            "nodes_that_take_no_feedback_are_not_asked",
        ),
        *_named(_RPC, "feedback_goes_the_way_that_the_request_took", "feedback_crosses_the_border"),
        *_named(_LOG, "messages_over_grpc_are_logged_as_json"),
    ),
    "3.7 a node's own status and body": _named(
        _FAULTY, "any_status_but_200_is_handed_on_with_its_body", "html_from_a_node_cannot_run_in_a_browser"
    ),
    "3.7 our own failures": _named(
        _FAULTY,
        "a_node_that_refuses_is_a_500_that_names_it",
        "a_node_that_hangs_is_given_up_after_the_annotated_time",
        "the_errors_of_the_data_plane_are_json",
    ),
    "3.7 over gRPC": _named(_EDGES, "a_nodes_own_status_reaches_the_client_unchanged"),
    "3.7 beyond upstream: retries, circuits, deadlines, a client that leaves": (
        *_named(
            "guard",
            "a_call_without_an_answer_is_tried_again",
            "a_circuit_opens_after_calls_without_an_answer",
        ),
        *_named(
            _FAULTY, "the_whole_request_has_a_limit_over_all_its_nodes", "the_call_is_cancelled_when_the_client_leaves"
        ),
        *_named(_EDGES, "the_clients_deadline_goes_on_to_the_node", "a_client_that_leaves_ends_the_call_to_the_node"),
    ),
    "3.8 the id": _named(
        _DOORS,
        "an_id_is_made_and_goes_to_the_node_and_back",
        "the_clients_id_and_headers_are_kept_and_hop_by_hop_ones_dropped",
    ),
    "3.8 Seldon-Skip-Logging": _named(_LOG, "a_client_may_ask_not_to_be_logged"),
    "3.8 CloudEvents": _named(_DOORS, "cloud_event_headers_come_back_only_when_asked_for"),
    "3.8 escapes, unless compressed": (
        *_named(_DOORS, "html_in_an_answer_is_escaped"),
        *_named("seldon_bytes", "escaping_keeps_the_meaning_and_leaves_nothing_for_a_browser"),
        *_named(_FAULTY, "a_compressed_answer_is_handed_on_as_it_is"),
    ),
    "3.8 idle connections": _named("http_server", "an_idle_connection_is_closed_without_a_word"),
    "3.9 names, labels, buckets, codes": (
        *_named(
            _DOORS,
            "requests_and_calls_are_counted_by_upstreams_names_and_labels",
            "the_summaries_of_upstream_have_count_and_sum",
        ),
        *_named(_EDGES, "calls_are_counted_by_upstreams_labels_and_the_id_is_in_the_header"),
    ),
    "3.9 its defects: version, image, whose call it was": (
        *_named("graph_parse", "the_version_comes_from_labels_first", "an_image_is_split_at_its_tag_not_at_its_port"),
        *_named(_DOORS, "each_call_is_booked_to_its_own_node_and_code"),
    ),
    "3.10 readiness": (
        *_named(_DOORS, "ready_asks_all_nodes_at_once_and_names_those_that_are_missing"),
        *_named("readiness", "a_node_in_the_same_pod_is_only_connected_to"),
        *_named(_OTHERS, "a_full_health_check_asks_the_page_of_the_protocol"),
    ),
    "3.11 what is logged to a topic": _named(
        "payload_topic",
        "an_event_has_upstreams_headers_and_those_of_cloudevents",
        "all_nodes_log_to_the_topic_whatever_url_they_have",
    ),
    "3.11 what is logged, where to, and how": _named(
        _LOG,
        "what_is_logged_and_with_which_headers",
        "each_node_is_logged_once_where_it_says_and_others_by_default",
        "compressed_payloads_are_logged_readable",
        "a_sink_that_hangs_holds_no_request_up_and_what_does_not_fit_is_counted",
    ),
    "3.12 the annotations file": _named(
        _START,
        "annotations_may_hold_anything_and_broken_lines_are_passed_over",
        "annotations_as_kubernetes_writes_them_are_read_back",
    ),
    "3.12 times and sizes": (
        *_named(_START, "the_rest_timeout_is_in_milliseconds"),
        *_named(_EDGES, "the_annotation_limits_a_call_to_a_node", "a_message_that_is_too_long_is_refused"),
    ),
    "3.12 a body is never decoded": (
        *_named(_WALK, "a_model_gets_the_clients_bytes_and_the_client_gets_the_models"),
        *_named(_RPC, "a_message_that_only_passes_through_is_handed_on_byte_by_byte"),
    ),
    "3.13 spans": _named(
        "tracing", "a_request_and_its_calls_are_spans_of_the_clients_trace", "calls_over_grpc_are_spans_too"
    ),
    "3.14 graph metadata": (
        *_named("graph_parse", "the_graphs_sides_are_those_of_the_nodes_at_its_ends"),
        *_named(_DOORS, "the_graphs_metadata_names_all_nodes", "the_graphs_metadata_knows_built_ins"),
        *_named(_RPC, "metadata_of_nodes_and_of_the_graph"),
    ),
    "3.15 payloads": (
        *_named("protobuf_forms", "a_seldon_message_comes_back_as_it_went"),
        *_named(_RPC, "our_reading_of_the_proto_files_is_protocs"),
        "node/test_unit_contract.py::test_other_payloads_come_as_they_are_and_pass_through_a_class_without_the_method",
    ),
}

UNITS_OF_THE_EXECUTOR = {
    "6.2 graph": (
        *EXECUTOR["3.5 down, and what a reply becomes"],
        *EXECUTOR["3.5 routes -1, -2, n, and those that lead nowhere"],
        *_named(_WALK, "explicit_methods_are_called_beside_those_of_the_type"),
    ),
    "6.2 graph: logging": EXECUTOR["3.11 what is logged, where to, and how"],
    "6.2 graph: ENGINE_PREDICTOR": _named(
        _START, "the_operators_command_line_is_taken", "a_predictor_that_cannot_be_read_is_said"
    ),
    "6.2 graph metadata, schemas of any form": (
        *EXECUTOR["3.14 graph metadata"],
        *_named(_RPC, "metadata_of_nodes_and_of_the_graph"),
    ),
    "6.2 REST server": (
        *EXECUTOR["3.2 live, ready, metrics, 404, 405, OPTIONS"],
        *EXECUTOR["3.8 the id"],
        *EXECUTOR["3.7 a node's own status and body"],
        *_named(_OTHERS, "a_tensorflow_chain_turns_predictions_to_instances"),
    ),
    "6.2 REST client; CORS": (
        *EXECUTOR["3.4 the nodes' paths: seldon"],
        *EXECUTOR["3.1 environment: CORS"],
        *_named(_FAULTY, "a_node_that_hangs_is_given_up_after_the_annotated_time"),
    ),
    "6.2 v2 chain: inputs pass, outputs become inputs, parameters stay": _named(
        "turning", "the_first_of_the_names_says_what_it_is"
    ),
    "6.2 routes, routing, feedback's route": (
        *_named("seldon_bytes", "routes_in_other_forms", "any_feedback_has_a_routing_or_is_a_bad_payload"),
        *EXECUTOR["3.5 routing in the answer"],
    ),
    "6.2 gRPC": (
        *EXECUTOR["3.3 metadata in goes to the nodes, the id comes back"],
        *EXECUTOR["3.12 times and sizes"],
        *EXECUTOR["3.3 tensorflow: both services"],
    ),
    "6.2 Kafka": (
        *_named("records", "the_broker_is_reached_as_its_variables_say", "certificates_come_as_text_or_as_files"),
        *_named("topics", "a_graph_is_asked_in_protobuf_where_a_message_names_one"),
    ),
    "6.4 the proto files": _named(_RPC, "our_reading_of_the_proto_files_is_protocs"),
    "6.4 the OpenAPI documents": _named(
        "document",
        "answers_are_as_the_document_describes_them",
        "what_the_document_does_not_allow_is_no_error_of_the_server",
    ),
    "6.4 real nodes and clients": (
        *_named("peers", "every_unit_type_works_on_real_nodes", "a_chain_of_models_works_on_mlserver"),
        *_named(
            "real_clients",
            "the_seldon_client_works_over_rest_and_grpc",
            "the_api_tester_of_seldon_core_works_through_a_gateway",
        ),
    ),
}
