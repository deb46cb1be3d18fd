// SPDX-License-Identifier: Apache-2.0
// The part of the OpenFX C interface (1.4, and a little of 1.5) that this plug-in uses, declared from its public
// documentation. Built with -DOPENFX_INCLUDE_DIR=, openfx_check.cpp holds every name, value and layout here against the
// real headers.
#pragma once

#include <cstddef>

namespace ofx {

using Status = int;
using Time = double;

struct PropertySetOpaque;
struct EffectOpaque;
struct ClipOpaque;
struct ParamOpaque;
struct ParamSetOpaque;
struct MemoryOpaque;
using PropertySet = PropertySetOpaque*;
using Effect = EffectOpaque*;
using Clip = ClipOpaque*;
using Param = ParamOpaque*;
using ParamSet = ParamSetOpaque*;
using Memory = MemoryOpaque*;

struct RectI {
    int x1, y1, x2, y2;
};
struct RectD {
    double x1, y1, x2, y2;
};
struct RangeD {
    double min, max;
};

struct Host {
    PropertySet host;
    const void* (*fetchSuite)(PropertySet host, const char* name, int version);
};

using EntryPoint = Status(const char* action, const void* handle, PropertySet in, PropertySet out);

struct Plugin {
    const char* pluginApi;
    int apiVersion;
    const char* pluginIdentifier;
    unsigned int pluginVersionMajor;
    unsigned int pluginVersionMinor;
    void (*setHost)(Host* host);
    EntryPoint* mainEntry;
};

struct PropertySuite {
    Status (*propSetPointer)(PropertySet, const char*, int, void*);
    Status (*propSetString)(PropertySet, const char*, int, const char*);
    Status (*propSetDouble)(PropertySet, const char*, int, double);
    Status (*propSetInt)(PropertySet, const char*, int, int);
    Status (*propSetPointerN)(PropertySet, const char*, int, void* const*);
    Status (*propSetStringN)(PropertySet, const char*, int, const char* const*);
    Status (*propSetDoubleN)(PropertySet, const char*, int, const double*);
    Status (*propSetIntN)(PropertySet, const char*, int, const int*);
    Status (*propGetPointer)(PropertySet, const char*, int, void**);
    Status (*propGetString)(PropertySet, const char*, int, char**);
    Status (*propGetDouble)(PropertySet, const char*, int, double*);
    Status (*propGetInt)(PropertySet, const char*, int, int*);
    Status (*propGetPointerN)(PropertySet, const char*, int, void**);
    Status (*propGetStringN)(PropertySet, const char*, int, char**);
    Status (*propGetDoubleN)(PropertySet, const char*, int, double*);
    Status (*propGetIntN)(PropertySet, const char*, int, int*);
    Status (*propReset)(PropertySet, const char*);
    Status (*propGetDimension)(PropertySet, const char*, int*);
};

struct ImageEffectSuite {
    Status (*getPropertySet)(Effect, PropertySet*);
    Status (*getParamSet)(Effect, ParamSet*);
    Status (*clipDefine)(Effect, const char*, PropertySet*);
    Status (*clipGetHandle)(Effect, const char*, Clip*, PropertySet*);
    Status (*clipGetPropertySet)(Clip, PropertySet*);
    Status (*clipGetImage)(Clip, Time, const RectD*, PropertySet*);
    Status (*clipReleaseImage)(PropertySet);
    Status (*clipGetRegionOfDefinition)(Clip, Time, RectD*);
    int (*abort)(Effect);
    Status (*imageMemoryAlloc)(Effect, size_t, Memory*);
    Status (*imageMemoryFree)(Memory);
    Status (*imageMemoryLock)(Memory, void**);
    Status (*imageMemoryUnlock)(Memory);
};

struct ParameterSuite {
    Status (*paramDefine)(ParamSet, const char*, const char*, PropertySet*);
    Status (*paramGetHandle)(ParamSet, const char*, Param*, PropertySet*);
    Status (*paramSetGetPropertySet)(ParamSet, PropertySet*);
    Status (*paramGetPropertySet)(Param, PropertySet*);
    Status (*paramGetValue)(Param, ...);
    Status (*paramGetValueAtTime)(Param, Time, ...);
    Status (*paramGetDerivative)(Param, Time, ...);
    Status (*paramGetIntegral)(Param, Time, Time, ...);
    Status (*paramSetValue)(Param, ...);
    Status (*paramSetValueAtTime)(Param, Time, ...);
    Status (*paramGetNumKeys)(Param, unsigned int*);
    Status (*paramGetKeyTime)(Param, unsigned int, Time*);
    Status (*paramGetKeyIndex)(Param, Time, int, int*);
    Status (*paramDeleteKey)(Param, Time);
    Status (*paramDeleteAllKeys)(Param);
    Status (*paramCopy)(Param, Param, Time, const RangeD*);
    Status (*paramEditBegin)(ParamSet, const char*);
    Status (*paramEditEnd)(ParamSet);
};

struct MessageSuiteV2 {
    Status (*message)(void*, const char*, const char*, const char*, ...);
    Status (*setPersistentMessage)(void*, const char*, const char*, const char*, ...);
    Status (*clearPersistentMessage)(void*);
};

struct ProgressSuiteV1 {
    Status (*progressStart)(void*, const char*);
    Status (*progressUpdate)(void*, double);
    Status (*progressEnd)(void*);
};

constexpr Status stat_ok = 0;
constexpr Status stat_failed = 1;
constexpr Status stat_err_unknown = 3;
constexpr Status stat_err_missing_host_feature = 4;
constexpr Status stat_err_unsupported = 5;
constexpr Status stat_err_memory = 8;
constexpr Status stat_err_bad_handle = 9;
constexpr Status stat_err_bad_index = 10;
constexpr Status stat_err_value = 11;
constexpr Status stat_reply_yes = 12;
constexpr Status stat_reply_no = 13;
constexpr Status stat_reply_default = 14;

constexpr int image_effect_api_version = 1;

// Each line is: our name, the name in the real headers, the text. openfx_check.cpp goes through the same list.
#define OFX_TEXTS(X)                                                                                                  \
    X(image_effect_api, kOfxImageEffectPluginApi, "OfxImageEffectPluginAPI")                                          \
    X(suite_property, kOfxPropertySuite, "OfxPropertySuite")                                                          \
    X(suite_image_effect, kOfxImageEffectSuite, "OfxImageEffectSuite")                                                \
    X(suite_parameter, kOfxParameterSuite, "OfxParameterSuite")                                                       \
    X(suite_message, kOfxMessageSuite, "OfxMessageSuite")                                                             \
    X(suite_progress, kOfxProgressSuite, "OfxProgressSuite")                                                          \
    X(suite_multi_thread, kOfxMultiThreadSuite, "OfxMultiThreadSuite")                                                \
    X(suite_memory, kOfxMemorySuite, "OfxMemorySuite")                                                                \
    X(action_load, kOfxActionLoad, "OfxActionLoad")                                                                   \
    X(action_unload, kOfxActionUnload, "OfxActionUnload")                                                             \
    X(action_describe, kOfxActionDescribe, "OfxActionDescribe")                                                       \
    X(action_purge_caches, kOfxActionPurgeCaches, "OfxActionPurgeCaches")                                             \
    X(action_create_instance, kOfxActionCreateInstance, "OfxActionCreateInstance")                                    \
    X(action_destroy_instance, kOfxActionDestroyInstance, "OfxActionDestroyInstance")                                 \
    X(action_instance_changed, kOfxActionInstanceChanged, "OfxActionInstanceChanged")                                 \
    X(action_begin_instance_changed, kOfxActionBeginInstanceChanged, "OfxActionBeginInstanceChanged")                 \
    X(action_end_instance_changed, kOfxActionEndInstanceChanged, "OfxActionEndInstanceChanged")                       \
    X(action_describe_in_context, kOfxImageEffectActionDescribeInContext, "OfxImageEffectActionDescribeInContext")    \
    X(action_render, kOfxImageEffectActionRender, "OfxImageEffectActionRender")                                       \
    X(action_is_identity, kOfxImageEffectActionIsIdentity, "OfxImageEffectActionIsIdentity")                          \
    X(action_regions_of_interest, kOfxImageEffectActionGetRegionsOfInterest,                                          \
      "OfxImageEffectActionGetRegionsOfInterest")                                                                     \
    X(action_frames_needed, kOfxImageEffectActionGetFramesNeeded, "OfxImageEffectActionGetFramesNeeded")              \
    X(action_clip_preferences, kOfxImageEffectActionGetClipPreferences, "OfxImageEffectActionGetClipPreferences")     \
    X(prop_type, kOfxPropType, "OfxPropType")                                                                         \
    X(prop_name, kOfxPropName, "OfxPropName")                                                                         \
    X(prop_label, kOfxPropLabel, "OfxPropLabel")                                                                      \
    X(prop_short_label, kOfxPropShortLabel, "OfxPropShortLabel")                                                      \
    X(prop_long_label, kOfxPropLongLabel, "OfxPropLongLabel")                                                         \
    X(prop_description, kOfxPropPluginDescription, "OfxPropPluginDescription")                                        \
    X(prop_time, kOfxPropTime, "OfxPropTime")                                                                         \
    X(prop_api_version, kOfxPropAPIVersion, "OfxPropAPIVersion")                                                      \
    X(prop_version, kOfxPropVersion, "OfxPropVersion")                                                                \
    X(prop_icon, kOfxPropIcon, "OfxPropIcon")                                                                         \
    X(prop_instance_data, kOfxPropInstanceData, "OfxPropInstanceData")                                                \
    X(prop_change_reason, kOfxPropChangeReason, "OfxPropChangeReason")                                                \
    X(change_user_edited, kOfxChangeUserEdited, "OfxChangeUserEdited")                                                \
    X(change_plugin_edited, kOfxChangePluginEdited, "OfxChangePluginEdited")                                          \
    X(change_time, kOfxChangeTime, "OfxChangeTime")                                                                   \
    X(type_host, kOfxTypeImageEffectHost, "OfxTypeImageEffectHost")                                                   \
    X(type_effect, kOfxTypeImageEffect, "OfxTypeImageEffect")                                                         \
    X(type_instance, kOfxTypeImageEffectInstance, "OfxTypeImageEffectInstance")                                       \
    X(type_clip, kOfxTypeClip, "OfxTypeClip")                                                                         \
    X(type_image, kOfxTypeImage, "OfxTypeImage")                                                                      \
    X(type_parameter, kOfxTypeParameter, "OfxTypeParameter")                                                          \
    X(context_filter, kOfxImageEffectContextFilter, "OfxImageEffectContextFilter")                                    \
    X(context_general, kOfxImageEffectContextGeneral, "OfxImageEffectContextGeneral")                                 \
    X(prop_context, kOfxImageEffectPropContext, "OfxImageEffectPropContext")                                          \
    X(prop_supported_contexts, kOfxImageEffectPropSupportedContexts, "OfxImageEffectPropSupportedContexts")           \
    X(prop_supported_depths, kOfxImageEffectPropSupportedPixelDepths, "OfxImageEffectPropSupportedPixelDepths")       \
    X(prop_supported_components, kOfxImageEffectPropSupportedComponents, "OfxImageEffectPropSupportedComponents")     \
    X(prop_grouping, kOfxImageEffectPluginPropGrouping, "OfxImageEffectPluginPropGrouping")                           \
    X(prop_single_instance, kOfxImageEffectPluginPropSingleInstance, "OfxImageEffectPluginPropSingleInstance")        \
    X(prop_thread_safety, kOfxImageEffectPluginRenderThreadSafety, "OfxImageEffectPluginRenderThreadSafety")          \
    X(render_fully_safe, kOfxImageEffectRenderFullySafe, "OfxImageEffectRenderFullySafe")                             \
    X(prop_host_frame_threading, kOfxImageEffectPluginPropHostFrameThreading,                                         \
      "OfxImageEffectPluginPropHostFrameThreading")                                                                   \
    X(prop_multi_resolution, kOfxImageEffectPropSupportsMultiResolution, "OfxImageEffectPropSupportsMultiResolution") \
    X(prop_tiles, kOfxImageEffectPropSupportsTiles, "OfxImageEffectPropSupportsTiles")                                \
    X(prop_temporal, kOfxImageEffectPropTemporalClipAccess, "OfxImageEffectPropTemporalClipAccess")                   \
    X(prop_field_twice, kOfxImageEffectPluginPropFieldRenderTwiceAlways,                                              \
      "OfxImageEffectPluginPropFieldRenderTwiceAlways")                                                               \
    X(prop_multiple_depths, kOfxImageEffectPropSupportsMultipleClipDepths, "OfxImageEffectPropMultipleClipDepths")    \
    X(prop_multiple_pars, kOfxImageEffectPropSupportsMultipleClipPARs, "OfxImageEffectPropSupportsMultipleClipPARs")  \
    X(prop_no_spatial_awareness, kOfxImageEffectPropNoSpatialAwareness, "OfxImageEffectPropNoSpatialAwareness")       \
    X(prop_is_background, kOfxImageEffectHostPropIsBackground, "OfxImageEffectHostPropIsBackground")                  \
    X(prop_file_path, kOfxPluginPropFilePath, "OfxPluginPropFilePath")                                                \
    X(prop_depth, kOfxImageEffectPropPixelDepth, "OfxImageEffectPropPixelDepth")                                      \
    X(prop_components, kOfxImageEffectPropComponents, "OfxImageEffectPropComponents")                                 \
    X(prop_premultiplication, kOfxImageEffectPropPreMultiplication, "OfxImageEffectPropPreMultiplication")            \
    X(premultiplied, kOfxImagePreMultiplied, "OfxImageAlphaPremultiplied")                                            \
    X(unpremultiplied, kOfxImageUnPreMultiplied, "OfxImageAlphaUnPremultiplied")                                      \
    X(opaque, kOfxImageOpaque, "OfxImageOpaque")                                                                      \
    X(depth_byte, kOfxBitDepthByte, "OfxBitDepthByte")                                                                \
    X(depth_short, kOfxBitDepthShort, "OfxBitDepthShort")                                                             \
    X(depth_half, kOfxBitDepthHalf, "OfxBitDepthHalf")                                                                \
    X(depth_float, kOfxBitDepthFloat, "OfxBitDepthFloat")                                                             \
    X(components_rgba, kOfxImageComponentRGBA, "OfxImageComponentRGBA")                                               \
    X(components_rgb, kOfxImageComponentRGB, "OfxImageComponentRGB")                                                  \
    X(components_alpha, kOfxImageComponentAlpha, "OfxImageComponentAlpha")                                            \
    X(image_data, kOfxImagePropData, "OfxImagePropData")                                                              \
    X(image_bounds, kOfxImagePropBounds, "OfxImagePropBounds")                                                        \
    X(image_region, kOfxImagePropRegionOfDefinition, "OfxImagePropRegionOfDefinition")                                \
    X(image_row_bytes, kOfxImagePropRowBytes, "OfxImagePropRowBytes")                                                 \
    X(image_field, kOfxImagePropField, "OfxImagePropField")                                                           \
    X(image_identifier, kOfxImagePropUniqueIdentifier, "OfxImagePropUniqueIdentifier")                                \
    X(image_aspect, kOfxImagePropPixelAspectRatio, "OfxImagePropPixelAspectRatio")                                    \
    X(field_none, kOfxImageFieldNone, "OfxFieldNone")                                                                 \
    X(prop_field_to_render, kOfxImageEffectPropFieldToRender, "OfxImageEffectPropFieldToRender")                      \
    X(clip_connected, kOfxImageClipPropConnected, "OfxImageClipPropConnected")                                        \
    X(clip_optional, kOfxImageClipPropOptional, "OfxImageClipPropOptional")                                           \
    X(clip_colourspace, kOfxImageClipPropColourspace, "OfxImageClipPropColourspace")                                  \
    X(prop_frame_range, kOfxImageEffectPropFrameRange, "OfxImageEffectPropFrameRange")                                \
    X(prop_frame_rate, kOfxImageEffectPropFrameRate, "OfxImageEffectPropFrameRate")                                   \
    X(prop_project_size, kOfxImageEffectPropProjectSize, "OfxImageEffectPropProjectSize")                             \
    X(prop_render_window, kOfxImageEffectPropRenderWindow, "OfxImageEffectPropRenderWindow")                          \
    X(prop_render_scale, kOfxImageEffectPropRenderScale, "OfxImageEffectPropRenderScale")                             \
    X(prop_interactive, kOfxImageEffectPropInteractiveRenderStatus, "OfxImageEffectPropInteractiveRenderStatus")      \
    X(clip_source, kOfxImageEffectSimpleSourceClipName, "Source")                                                     \
    X(clip_output, kOfxImageEffectOutputClipName, "Output")                                                           \
    X(param_integer, kOfxParamTypeInteger, "OfxParamTypeInteger")                                                     \
    X(param_double, kOfxParamTypeDouble, "OfxParamTypeDouble")                                                        \
    X(param_boolean, kOfxParamTypeBoolean, "OfxParamTypeBoolean")                                                     \
    X(param_choice, kOfxParamTypeChoice, "OfxParamTypeChoice")                                                        \
    X(param_string, kOfxParamTypeString, "OfxParamTypeString")                                                        \
    X(param_button, kOfxParamTypePushButton, "OfxParamTypePushButton")                                                \
    X(param_default, kOfxParamPropDefault, "OfxParamPropDefault")                                                     \
    X(param_min, kOfxParamPropMin, "OfxParamPropMin")                                                                 \
    X(param_max, kOfxParamPropMax, "OfxParamPropMax")                                                                 \
    X(param_display_min, kOfxParamPropDisplayMin, "OfxParamPropDisplayMin")                                           \
    X(param_display_max, kOfxParamPropDisplayMax, "OfxParamPropDisplayMax")                                           \
    X(param_hint, kOfxParamPropHint, "OfxParamPropHint")                                                              \
    X(param_script_name, kOfxParamPropScriptName, "OfxParamPropScriptName")                                           \
    X(param_animates, kOfxParamPropAnimates, "OfxParamPropAnimates")                                                  \
    X(param_enabled, kOfxParamPropEnabled, "OfxParamPropEnabled")                                                     \
    X(param_evaluate, kOfxParamPropEvaluateOnChange, "OfxParamPropEvaluateOnChange")                                  \
    X(param_persistent, kOfxParamPropPersistant, "OfxParamPropPersistant")                                            \
    X(param_double_type, kOfxParamPropDoubleType, "OfxParamPropDoubleType")                                           \
    X(param_double_plain, kOfxParamDoubleTypePlain, "OfxParamDoubleTypePlain")                                        \
    X(param_choice_option, kOfxParamPropChoiceOption, "OfxParamPropChoiceOption")                                     \
    X(param_string_mode, kOfxParamPropStringMode, "OfxParamPropStringMode")                                           \
    X(param_single_line, kOfxParamStringIsSingleLine, "OfxParamStringIsSingleLine")                                   \
    X(param_file_path, kOfxParamStringIsFilePath, "OfxParamStringIsFilePath")                                         \
    X(param_path_exists, kOfxParamPropStringFilePathExists, "OfxParamPropStringFilePathExists")                       \
    X(message_error, kOfxMessageError, "OfxMessageError")                                                             \
    X(message_warning, kOfxMessageWarning, "OfxMessageWarning")                                                       \
    X(message_message, kOfxMessageMessage, "OfxMessageMessage")

#define OFX_DECLARE(OURS, THEIRS, TEXT) inline constexpr char OURS[] = TEXT;
OFX_TEXTS(OFX_DECLARE)
#undef OFX_DECLARE

// Built from a clip's name, so that the real headers have no constant for them.
inline constexpr char frame_range_of_source[] = "OfxImageClipPropFrameRange_Source";
inline constexpr char region_of_source[] = "OfxImageClipPropRoI_Source";

// Resolve's own, not in the standard: the file behind the effect (instance) and the frame in it (render).
inline constexpr char resolve_file_path[] = "OfxImageEffectPropSrcFilePath";
inline constexpr char resolve_frame[] = "OfxImageEffectPropSrcFrame";

}  // namespace ofx
