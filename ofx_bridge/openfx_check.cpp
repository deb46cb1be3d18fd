// SPDX-License-Identifier: Apache-2.0
// Compiled only with -DOPENFX_INCLUDE_DIR=: openfx_api.h against the real headers. There is nothing to run.
#include <cstddef>

#include "ofxColour.h"
#include "ofxCore.h"
#include "ofxImageEffect.h"
#include "ofxMemory.h"
#include "ofxMessage.h"
#include "ofxMultiThread.h"
#include "ofxParam.h"
#include "ofxProgress.h"
#include "ofxProperty.h"
#include "openfx_api.h"

namespace {

constexpr bool same(const char* a, const char* b) {
    while (*a != '\0' && *a == *b) ++a, ++b;
    return *a == *b;
}

#define CHECK_TEXT(OURS, THEIRS, TEXT) static_assert(same(ofx::OURS, THEIRS), #THEIRS);
OFX_TEXTS(CHECK_TEXT)

#define CHECK_VALUE(OURS, THEIRS) static_assert(ofx::OURS == (THEIRS), #THEIRS)
CHECK_VALUE(stat_ok, kOfxStatOK);
CHECK_VALUE(stat_failed, kOfxStatFailed);
CHECK_VALUE(stat_err_unknown, kOfxStatErrUnknown);
CHECK_VALUE(stat_err_missing_host_feature, kOfxStatErrMissingHostFeature);
CHECK_VALUE(stat_err_unsupported, kOfxStatErrUnsupported);
CHECK_VALUE(stat_err_memory, kOfxStatErrMemory);
CHECK_VALUE(stat_err_bad_handle, kOfxStatErrBadHandle);
CHECK_VALUE(stat_err_bad_index, kOfxStatErrBadIndex);
CHECK_VALUE(stat_err_value, kOfxStatErrValue);
CHECK_VALUE(stat_reply_yes, kOfxStatReplyYes);
CHECK_VALUE(stat_reply_no, kOfxStatReplyNo);
CHECK_VALUE(stat_reply_default, kOfxStatReplyDefault);
CHECK_VALUE(image_effect_api_version, kOfxImageEffectPluginApiVersion);

#define CHECK_SIZE(OURS, THEIRS) static_assert(sizeof(ofx::OURS) == sizeof(THEIRS), #THEIRS)
#define CHECK_MEMBER(OURS, THEIRS, MEMBER) \
    static_assert(offsetof(ofx::OURS, MEMBER) == offsetof(THEIRS, MEMBER), #THEIRS "::" #MEMBER)

CHECK_SIZE(RectI, OfxRectI);
CHECK_MEMBER(RectI, OfxRectI, y2);
CHECK_SIZE(RectD, OfxRectD);
CHECK_MEMBER(RectD, OfxRectD, y2);
CHECK_SIZE(RangeD, OfxRangeD);
CHECK_SIZE(Host, OfxHost);
CHECK_MEMBER(Host, OfxHost, fetchSuite);
CHECK_SIZE(Plugin, OfxPlugin);
CHECK_MEMBER(Plugin, OfxPlugin, apiVersion);
CHECK_MEMBER(Plugin, OfxPlugin, pluginIdentifier);
CHECK_MEMBER(Plugin, OfxPlugin, pluginVersionMinor);
CHECK_MEMBER(Plugin, OfxPlugin, setHost);
CHECK_MEMBER(Plugin, OfxPlugin, mainEntry);

CHECK_SIZE(PropertySuite, OfxPropertySuiteV1);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propSetPointer);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propSetString);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propSetDouble);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propSetInt);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propSetPointerN);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propSetStringN);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propSetDoubleN);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propSetIntN);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propGetPointer);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propGetString);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propGetDouble);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propGetInt);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propGetPointerN);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propGetStringN);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propGetDoubleN);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propGetIntN);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propReset);
CHECK_MEMBER(PropertySuite, OfxPropertySuiteV1, propGetDimension);

CHECK_SIZE(ImageEffectSuite, OfxImageEffectSuiteV1);
CHECK_MEMBER(ImageEffectSuite, OfxImageEffectSuiteV1, getPropertySet);
CHECK_MEMBER(ImageEffectSuite, OfxImageEffectSuiteV1, getParamSet);
CHECK_MEMBER(ImageEffectSuite, OfxImageEffectSuiteV1, clipDefine);
CHECK_MEMBER(ImageEffectSuite, OfxImageEffectSuiteV1, clipGetHandle);
CHECK_MEMBER(ImageEffectSuite, OfxImageEffectSuiteV1, clipGetPropertySet);
CHECK_MEMBER(ImageEffectSuite, OfxImageEffectSuiteV1, clipGetImage);
CHECK_MEMBER(ImageEffectSuite, OfxImageEffectSuiteV1, clipReleaseImage);
CHECK_MEMBER(ImageEffectSuite, OfxImageEffectSuiteV1, clipGetRegionOfDefinition);
CHECK_MEMBER(ImageEffectSuite, OfxImageEffectSuiteV1, abort);
CHECK_MEMBER(ImageEffectSuite, OfxImageEffectSuiteV1, imageMemoryAlloc);
CHECK_MEMBER(ImageEffectSuite, OfxImageEffectSuiteV1, imageMemoryUnlock);

CHECK_SIZE(ParameterSuite, OfxParameterSuiteV1);
CHECK_MEMBER(ParameterSuite, OfxParameterSuiteV1, paramDefine);
CHECK_MEMBER(ParameterSuite, OfxParameterSuiteV1, paramGetHandle);
CHECK_MEMBER(ParameterSuite, OfxParameterSuiteV1, paramSetGetPropertySet);
CHECK_MEMBER(ParameterSuite, OfxParameterSuiteV1, paramGetPropertySet);
CHECK_MEMBER(ParameterSuite, OfxParameterSuiteV1, paramGetValue);
CHECK_MEMBER(ParameterSuite, OfxParameterSuiteV1, paramGetValueAtTime);
CHECK_MEMBER(ParameterSuite, OfxParameterSuiteV1, paramSetValue);
CHECK_MEMBER(ParameterSuite, OfxParameterSuiteV1, paramSetValueAtTime);
CHECK_MEMBER(ParameterSuite, OfxParameterSuiteV1, paramEditEnd);

CHECK_SIZE(MessageSuiteV2, OfxMessageSuiteV2);
CHECK_MEMBER(MessageSuiteV2, OfxMessageSuiteV2, message);
CHECK_MEMBER(MessageSuiteV2, OfxMessageSuiteV2, setPersistentMessage);
CHECK_MEMBER(MessageSuiteV2, OfxMessageSuiteV2, clearPersistentMessage);
CHECK_SIZE(ProgressSuiteV1, OfxProgressSuiteV1);
CHECK_MEMBER(ProgressSuiteV1, OfxProgressSuiteV1, progressStart);
CHECK_MEMBER(ProgressSuiteV1, OfxProgressSuiteV1, progressUpdate);
CHECK_MEMBER(ProgressSuiteV1, OfxProgressSuiteV1, progressEnd);

}  // namespace
