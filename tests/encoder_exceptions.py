"""Why a family of transformers' is not compared by `tests.encoder_zoo` → those it holds for."""

from __future__ import annotations

FAMILIES = {
    "reads images or videos, and no texts": """
        aimv2_vision_model beit bit chinese_clip_vision_model clip_vision_model
        cohere_compass_vision conditional_detr convnext convnextv2 cosmos3_edge_vision cvt
        d_fine dab-detr data2vec-vision deformable_detr deimv2 deit depth_pro detr dinat dinov2
        dinov2_with_registers dinov3_convnext dinov3_vit donut-swin dpt edgetam edgetam_video
        edgetam_vision_model efficientloftr efficientnet exaone4_5_vision focalnet
        gemma3n_vision gemma4_vision glm4v_moe_vision glm4v_vision glm5_next_vision
        glm_image_vision glm_image_vqmodel glm_ocr_vision glpn granite_docling_vision hgnet_v2
        hiera hunyuan_vl_vision hy_v4_vl_vision idefics3_vision ijepa inkling2_vision
        internvl_vision kimi_k25_vision levit lfm3_vl_vision lightglue lw_detr mask2former
        maskformer maskformer-swin mgp-str minicpm_ocr_vision minicpmv4_7_vision mlcd
        mlcd_vision_model mobilenet_v1 mobilenet_v2 mobilevit mobilevitv2 muse_glimmer_vision
        muse_spark_vision oneformer pe_audio_video_encoder pe_video_encoder pixio pixtral
        poolformer pp_doclayout_v3 pp_doclayout_v4 pp_ocrv5_mobile_rec pp_ocrv5_server_rec
        pp_ocrv6_medium_det pp_ocrv6_small_det pp_ocrv6_small_rec pp_ocrv6_tiny_rec pvt pvt_v2
        qianfan_ocr_vision qwen2_5_vl_vision qwen3_5_moe_vision qwen3_5_vision
        qwen3_vl_moe_vision qwen3_vl_vision qwen4_exp_vision radio regnet resnet rf_detr rt_detr
        rt_detr_v2 sam sam2 sam2_hiera_det_model sam2_video sam2_vision_model sam3_tracker
        sam3_tracker_video sam3_video sam3_vision_model sam3_vit_model sam_hq
        sam_hq_vision_model sam_vision_model sapiens2 segformer seggpt siglip2_vision_model
        siglip_vision_model smolvlm_vision swiftformer swin swin2sr swinv2 table-transformer
        textnet timesformer timm_backbone timm_wrapper tipsv2_vision_model uvdoc
        video_llama_3_vision videomae videoprism_vision_model vit vit_mae vit_msn vitdet vivit
        vjepa2 yolos
    """,
    "reads images besides texts (those with towers: tests.tower_zoo)": """
        aimv2 align altclip apertus1p5 aria aya_vision blip blip-2 bridgetower chameleon
        chinese_clip clip clipseg cohere2_vision cohere_compass cosmos3_edge cosmos3_omni
        deepseek_ocr2 deepseek_vl deepseek_vl_hybrid diffusion_gemma dots3_note emu3
        ernie4_5_vl_moe exaone4_5 fast_vlm flava florence2 fuyu gemma3 gemma3n git glm46v glm4v
        glm4v_moe glm5_next glm_image glm_ocr glmga got_ocr2 granite4_vision granite_docling
        grounding-dino groupvit hunyuan_vl hy_v4_vl hyperclovax_vision_v2 idefics idefics2
        idefics3 inkling2 inkling2_loop inkling_mm_model instructblip instructblipvideo internvl
        janus kimi_k25 kosmos-2 kosmos-2.5 lfm2_vl lfm3_vl lighton_ocr llama4 llava llava_next
        llava_next_video llava_onevision lxmert metaclip_2 minicpm_ocr minicpmv4_6 minicpmv4_7
        minimax_m3_vl mistral3 mistral_large4 mllama mm-grounding-dino modernvbert molmo2
        muse_glimmer muse_spark omdet-turbo ovis2 owlv2 owlvit paddleocr_vl paligemma
        pe_audio_video pe_video perception_lm phi4_multimodal qianfan_ocr qwen2_5_omni_thinker
        qwen2_5_vl qwen2_vl qwen3_5 qwen3_5_moe qwen3_omni_moe_thinker qwen3_vl qwen3_vl_moe
        qwen4_exp sam3 sam3_lite_text siglip siglip2 smolvlm step3p7 t5gemma2 t5gemma2_encoder
        tipsv2 tvp ultravbert unlimited_ocr video_llama_3 video_llava videoprism vilt vipllava
        vision-text-dual-encoder xclip
    """,
    "reads sounds, and no texts": """
        audio-spectrogram-transformer audioflamingo3_encoder cohere_asr dac data2vec-audio
        encodec fun_asr_nano_encoder gemma3n_audio gemma4_audio glmasr_encoder
        granite_speech5_ctc granite_speech5_encoder higgs_audio_v2_tokenizer hubert lasr_ctc
        lasr_encoder mimi mimi_encoder moonshine moonshine_streaming
        moss_transcribe_diarize_audio muse_spark_audio nemotron3_5_asr
        nemotron3_5_transcribe_asr_audio nemotron3_5_transcribe_audio nemotron3_diarization
        nemotron3_diarization_audio nemotron_asr_streaming nemotron_asr_streaming_encoder
        neucodec omniasr_audio omniasr_ctc parakeet_ctc parakeet_encoder parakeet_rnnt
        parakeet_tdt pe_audio_encoder pocket_tts_audio_tokenizer
        pocket_tts_audio_tokenizer_encoder qwen2_audio_encoder qwen3_asr_encoder sew sew-d
        speech_to_text speecht5 unispeech unispeech-sat univnet vibevoice_acoustic_tokenizer
        vibevoice_acoustic_tokenizer_encoder voxtral_encoder voxtral_realtime_encoder wav2vec2
        wav2vec2-bert wav2vec2-conformer wavlm wavtokenizer wavtokenizer_encoder whisper xcodec
        xcodec2
    """,
    "reads sounds besides texts": """
        audioflamingo3 canary clap csm fun_asr_nano glmasr granite_speech granite_speech_plus
        kyutai_speech_to_text moshi moss_transcribe_diarize musicflamingo musicgen_melody
        nemo_speechlm nemotron3_5_transcribe_word_timestamp omniasr pe_audio qwen2_audio
        qwen3_asr seamless_m4t seamless_m4t_v2 vibevoice_asr voxtral voxtral_realtime
    """,
    "makes sounds of texts, by several networks that run one after the other": """
        bark clvp dia fastspeech2_conformer fastspeech2_conformer_with_hifigan
        gradium_phonon_tts musicgen pocket_tts vibevoice vits
    """,
    "reads series of numbers": """
        autoformer informer patchtsmixer patchtst time_series_transformer timesfm timesfm2_5
    """,
    "reads arrays of other kinds: actions, bytes of any data, states of a robot": """
        decision_transformer perceiver pi0
    """,
    "reads the place of each token on a page besides texts": """
        bros udop
    """,
    "is a part of another network, and reads what that one computes": """
        blip_2_qformer mimi_decoder muse_glimmer_assistant pocket_tts_audio_tokenizer_decoder
        sam3_lite_text_text_model vibevoice_acoustic_tokenizer_decoder
    """,
    "is made of several networks, which cut texts into patches of bytes by one of their own": """
        blt
    """,
    "needs detectron2, which is no dependency and has no wheels": """
        layoutlmv2
    """,
    "transformers names it, and does not export its network": """
        voxtral_realtime_text
    """,
    "reads proteins besides texts": """
        evolla
    """,
}

EXCEPTIONS = {family: why for why, families in FAMILIES.items() for family in families.split()}
"""Each family's reason."""
