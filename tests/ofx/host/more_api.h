// SPDX-License-Identifier: Apache-2.0
// The rest of the OpenFX C interface: what a host offers and a plug-in such as ours leaves alone.
#pragma once

#include "openfx_api.h"

namespace ofx {

struct MessageSuiteV1 {
    Status (*message)(void*, const char*, const char*, const char*, ...);
};

struct MemorySuiteV1 {
    Status (*memoryAlloc)(void*, size_t, void**);
    Status (*memoryFree)(void*);
};

using ThreadFunction = void(unsigned int index, unsigned int count, void* argument);

struct MultiThreadSuiteV1 {
    Status (*multiThread)(ThreadFunction*, unsigned int, void*);
    Status (*multiThreadNumCPUs)(unsigned int*);
    Status (*multiThreadIndex)(unsigned int*);
    int (*multiThreadIsSpawnedThread)();
    Status (*mutexCreate)(void**, int);
    Status (*mutexDestroy)(void*);
    Status (*mutexLock)(void*);
    Status (*mutexUnLock)(void*);
    Status (*mutexTryLock)(void*);
};

inline constexpr char action_begin_sequence[] = "OfxImageEffectActionBeginSequenceRender";
inline constexpr char action_end_sequence[] = "OfxImageEffectActionEndSequenceRender";
inline constexpr char action_region_of_definition[] = "OfxImageEffectActionGetRegionOfDefinition";
inline constexpr char action_sync_private_data[] = "OfxActionSyncPrivateData";
inline constexpr char prop_region_of_definition[] = "OfxImageEffectPropRegionOfDefinition";
inline constexpr char prop_region_of_interest[] = "OfxImageEffectPropRegionOfInterest";
inline constexpr char prop_frame_step[] = "OfxImageEffectPropFrameStep";
inline constexpr char prop_effect_duration[] = "OfxImageEffectInstancePropEffectDuration";
inline constexpr char prop_sequential[] = "OfxImageEffectInstancePropSequentialRender";
inline constexpr char prop_sequential_status[] = "OfxImageEffectPropSequentialRenderStatus";
inline constexpr char prop_draft[] = "OfxImageEffectPropRenderQualityDraft";
inline constexpr char prop_opengl[] = "OfxImageEffectPropOpenGLEnabled";
inline constexpr char prop_project_offset[] = "OfxImageEffectPropProjectOffset";
inline constexpr char prop_project_extent[] = "OfxImageEffectPropProjectExtent";
inline constexpr char prop_project_aspect[] = "OfxImageEffectPropProjectPixelAspectRatio";
inline constexpr char prop_unmapped_range[] = "OfxImageEffectPropUnmappedFrameRange";
inline constexpr char prop_unmapped_rate[] = "OfxImageEffectPropUnmappedFrameRate";
inline constexpr char clip_unmapped_depth[] = "OfxImageClipPropUnmappedPixelDepth";
inline constexpr char clip_unmapped_components[] = "OfxImageClipPropUnmappedComponents";
inline constexpr char clip_field_order[] = "OfxImageClipPropFieldOrder";
inline constexpr char clip_field_extraction[] = "OfxImageClipPropFieldExtraction";
inline constexpr char clip_continuous[] = "OfxImageClipPropContinuousSamples";
inline constexpr char clip_is_mask[] = "OfxImageClipPropIsMask";
inline constexpr char param_type[] = "OfxParamPropType";
inline constexpr char param_secret[] = "OfxParamPropSecret";
inline constexpr char param_can_undo[] = "OfxParamPropCanUndo";
inline constexpr char param_parent[] = "OfxParamPropParent";
inline constexpr char param_cache[] = "OfxParamPropCacheInvalidation";
inline constexpr char param_increment[] = "OfxParamPropIncrement";
inline constexpr char param_digits[] = "OfxParamPropDigits";
inline constexpr char param_plugin_may_write[] = "OfxParamPropPluginMayWrite";
inline constexpr char param_is_animating[] = "OfxParamPropIsAnimating";
inline constexpr char param_is_auto_keying[] = "OfxParamPropIsAutoKeying";
inline constexpr char param_page[] = "OfxParamTypePage";
inline constexpr char param_group[] = "OfxParamTypeGroup";
inline constexpr char param_page_child[] = "OfxParamPropPageChild";
inline constexpr char param_group_open[] = "OfxParamPropGroupOpen";
inline constexpr char param_page_order[] = "OfxPluginPropParamPageOrder";
inline constexpr char host_params_most[] = "OfxParamHostPropMaxParameters";
inline constexpr char prop_version_label[] = "OfxPropVersionLabel";
inline constexpr char prop_clip_components_of[] = "OfxImageClipPropComponents_";
inline constexpr char prop_clip_depth_of[] = "OfxImageClipPropDepth_";
inline constexpr char prop_clip_aspect_of[] = "OfxImageClipPropPAR_";
inline constexpr char prop_frame_varying[] = "OfxImageEffectFrameVarying";
inline constexpr char prop_setable_fielding[] = "OfxImageEffectPropSetableFielding";
inline constexpr char prop_setable_rate[] = "OfxImageEffectPropSetableFrameRate";
inline constexpr char prop_overlays[] = "OfxImageEffectPropSupportsOverlays";

}  // namespace ofx
