/// The part of ``OpenAPIDocument`` about decisions. Their routes are another module's, so their limits stand here once
/// more; a test holds the addresses against those that are declared.
enum OpenAPIDecisions {
  private static let asked = """
    "400":{"$ref":"#/components/responses/Problem"},"401":{"$ref":"#/components/responses/Problem"},"403":{"$ref":"#/components/responses/Problem"},"413":{"$ref":"#/components/responses/Problem"},"429":{"$ref":"#/components/responses/Unavailable"}
    """

  private static let read = """
    "400":{"$ref":"#/components/responses/Problem"},"401":{"$ref":"#/components/responses/Problem"}
    """

  private static let notFound = "\"404\":{\"$ref\":\"#/components/responses/Problem\"}"

  private static let key = """
    "parameters":[{"name":"k","in":"query","description":"Write key, where neither the body nor the authorization has it","schema":{"type":"string"}}
    """

  private static let plan = """
    {"name":"plan","in":"path","required":true,"description":"Id of the decision","schema":{"type":"string"}}
    """

  private static func flags(_ path: String, _ name: String) -> String {
    """
    "\(path)":{"post":{"tags":["decisions"],"operationId":"\(name)","summary":"Decisions as PostHog flags, v4: each decision of the site is a flag whose variant is the arm","security":[{"writeKey":[]},{}],\(key),{"name":"v","in":"query","description":"4","schema":{"type":"string"}}],"requestBody":{"required":true,"description":"As PostHog's SDKs send it: JSON, in gzip or base64 too","content":{"application/json":{"schema":{"type":"object","required":["distinct_id"],"properties":{"api_key":{"type":"string","description":"Write key"},"distinct_id":{"type":["string","number"]},"person_properties":{"type":"object","description":"The context"},"flag_keys_to_evaluate":{"type":"array","items":{"type":"string"}}}}}}},"responses":{"200":{"description":"The flags","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Flags"}}}},\(asked)}}}
    """
  }

  static let paths = """
    "/v1/decide":{"post":{"tags":["decisions"],"operationId":"decide","summary":"Choose an arm for a person, from memory; the answer waits for no server","security":[{"writeKey":[]},{}],\(key)],"requestBody":{"required":true,"content":{"application/json":{"schema":{"$ref":"#/components/schemas/DecideRequest"}},"text/plain":{"schema":{"$ref":"#/components/schemas/DecideRequest"}}}},"responses":{"200":{"description":"What was decided","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Decided"}}}},\(notFound),\(asked)}}},
    \(flags("/flags", "flags")),
    \(flags("/flags/", "flagsSlash")),
    "/v1/decisions/{id}/reward":{"post":{"tags":["decisions"],"operationId":"reward","summary":"Say what a decision earned; takes the place of what was seen by itself, and of what was said before","security":[{"writeKey":[]},{}],\(key),{"name":"id","in":"path","required":true,"description":"`decision_id` of the answer","schema":{"type":"string"}}],"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","additionalProperties":false,"required":["value"],"properties":{"value":{"type":"number","minimum":0,"maximum":1},"event_id":{"type":"string","minLength":1,"maxLength":256,"description":"The same for every copy of the same report"},"k":{"type":"string","description":"Write key"}}}}}},"responses":{"200":{"description":"It is durable","content":{"application/json":{"schema":{"type":"object","required":["decision_id","value","position"],"properties":{"decision_id":{"type":"string"},"value":{"type":"number"},"position":{"type":["string","null"]}}}}}},\(notFound),\(asked),"503":{"$ref":"#/components/responses/Unavailable"}}}},
    "/v1/decisions":{"get":{"tags":["decisions"],"operationId":"decisions","summary":"All decisions that are declared, and how they do","security":[{"token":[]},{}],"responses":{"200":{"description":"In order of their declaration","content":{"application/json":{"schema":{"type":"object","required":["decisions"],"properties":{"decisions":{"type":"array","items":{"$ref":"#/components/schemas/DecisionSummary"}}}}}}},\(read)}}},
    "/v1/decisions/{plan}":{"get":{"tags":["decisions"],"operationId":"decision","summary":"What has been learned of each arm, and how far the log was read for it","security":[{"token":[]},{}],"parameters":[\(plan)],"responses":{"200":{"description":"It","content":{"application/json":{"schema":{"$ref":"#/components/schemas/DecisionReport"}}}},\(notFound),\(read)}}},
    "/v1/decisions/{plan}/why":{"get":{"tags":["decisions"],"operationId":"why","summary":"Why it was this arm: chances, alternatives and their odds","security":[{"token":[]},{}],"parameters":[\(plan),{"name":"token","in":"query","required":true,"description":"Of the decision","schema":{"type":"string"}}],"responses":{"200":{"description":"It","content":{"application/json":{"schema":{"$ref":"#/components/schemas/DecisionReason"}}}},\(notFound),\(read)}}}
    """

  private static let slot = """
    "decision_id":{"type":"string"},"arm":{"type":"string"},"probability":{"type":"number","description":"With which it was drawn, a whole number of 65,536ths"},"probabilities":{"type":"object","description":"Of all arms","additionalProperties":{"type":"number"}},"token":{"type":"string","description":"To be sent as the property `decision` with the events that follow"}
    """

  private static let summary = """
    "decision":{"type":"string"},"site":{"type":"string"},"campaign":{"type":"string"},"policy":{"type":"string"},"version":{"type":"integer"},"default":{"type":"string"},"trials":{"type":"integer"},"best":{"type":["string","null"]},"is_caught_up":{"type":"boolean"},"position":{"type":["string","null"],"description":"How far the log was read"},"as_of":{"type":["string","null"],"format":"date-time"},"problem":{"type":["string","null"],"description":"Why learning does not go on"}
    """

  static let schemas = """
    "DecideRequest":{"type":"object","additionalProperties":false,"required":["decision","person"],"properties":{"k":{"type":"string","description":"Write key"},"decision":{"type":"string","minLength":1,"description":"Its id"},"person":{"type":"string","minLength":1,"maxLength":256,"description":"As events name them: the anonymous id where they have one, else the user id"},"context":{"type":["object","null"],"description":"Texts, numbers and truth values; those that the decision names are kept with it"},"candidates":{"type":["array","null"],"description":"Arms to choose among; all of them by default","items":{"type":"string"}},"slots":{"type":"integer","minimum":1,"maximum":16,"default":1,"description":"Each gets another arm"}}},
    "Decided":{"type":"object","required":["decision","decision_id","arm","probability","probabilities","token","arms","slots","policy","version","default","holdout","model","reasons"],"properties":{"decision":{"type":"string"},\(slot),"arms":{"type":"array","description":"Of all slots","items":{"type":"string"}},"slots":{"type":"array","items":{"type":"object","required":["decision_id","arm","probability","probabilities","token"],"properties":{\(slot)}}},"policy":{"type":"string"},"version":{"type":"integer"},"default":{"type":"boolean","description":"There was no model to decide by"},"holdout":{"type":"boolean","description":"The person takes no part"},"model":{"type":["object","null"],"required":["position","as_of"],"properties":{"position":{"type":"string"},"as_of":{"type":["string","null"],"format":"date-time"}}},"reasons":{"type":"array","items":{"type":"string"}}}},
    "Flags":{"type":"object","required":["flags","errorsWhileComputingFlags","requestId"],"properties":{"flags":{"type":"object","additionalProperties":{"type":"object","required":["key","enabled","variant","value","failed","reason","metadata"],"properties":{"key":{"type":"string"},"enabled":{"type":"boolean"},"variant":{"type":"string"},"value":{"type":"string"},"failed":{"type":"boolean"},"reason":{"type":"object"},"metadata":{"type":"object","description":"`payload` is the token"}}}},"errorsWhileComputingFlags":{"type":"boolean"},"requestId":{"type":"string","description":"The token where one flag was asked for"}}},
    "DecisionSummary":{"type":"object","required":["decision","site","campaign","policy","version","default","trials","best","is_caught_up","position","as_of","problem"],"properties":{\(summary)}},
    "DecisionReport":{"type":"object","required":["decision","site","campaign","policy","version","default","trials","best","is_caught_up","position","as_of","problem","arms","card"],"properties":{\(summary),"arms":{"type":"array","items":{"type":"object","required":["arm","probability"],"properties":{"arm":{"type":"string"},"probability":{"type":["number","null"]},"trials":{"type":"integer"},"pending":{"type":"number","description":"So many of them may still get a reward"},"rewards":{"type":"number"},"mean":{"type":"number"},"interval":{"type":"array","minItems":2,"maxItems":2,"items":{"type":"number"}},"is_stopped":{"type":"boolean","description":"By a guardrail"}}}},"card":{"type":"object","description":"What was learned from what, by which rules","required":["reward","reward_window_seconds","memory_seconds","activation","floor","is_sticky","holdout","is_apprentice","features","sentences"]}}},
    "DecisionReason":{"type":"object","required":["decision","decision_id","decided_at","arm","probability","version","is_present_version","features_digest","features","event_position","model","alternatives","position","reasons"],"properties":{"decision":{"type":"string"},"decision_id":{"type":"string"},"decided_at":{"type":["string","null"],"format":"date-time"},"arm":{"type":"string"},"probability":{"type":"number"},"version":{"type":"integer"},"is_present_version":{"type":"boolean"},"features_digest":{"type":"integer"},"features":{"type":["object","null"],"description":"As they were; null where its event is not in the log"},"event_position":{"type":["string","null"]},"model":{"type":["object","null"],"required":["position","as_of"],"properties":{"position":{"type":"string","description":"How far the log was read for it"},"as_of":{"type":["string","null"],"format":"date-time"}}},"alternatives":{"type":"array","items":{"type":"object","required":["arm","probability","odds"],"properties":{"arm":{"type":"string"},"probability":{"type":"number"},"odds":{"type":"number","description":"As often as the arm that was drawn"}}}},"position":{"type":["string","null"]},"reasons":{"type":"array","items":{"type":"string"}}}}
    """
}
